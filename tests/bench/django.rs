//! The same load on django-djaffar 0.1.10: what this product replaces.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Process;
use djaffar_tests::{START_LIMIT, free_port, tools, wait_until, workspace};
use rustix::process::Signal;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::copy::tuned_postgres;
use crate::effort;
use crate::end_to_end::{self, CONNECTIONS, Requests};
use crate::machine::family_cpu_seconds;
use crate::report::{Report, Target, median, ratios, spread, thousands};
use crate::wrk::{self, Load};

const ROUNDS: usize = 3;
const SECONDS: u32 = 6;
/// One a core: 2 were the fastest of what was tried here, threads slower.
const WORKERS: &str = "2";
const TARGET: Target = Target::AtLeast(100.0);

/// gunicorn and its database.
struct Site {
    target: SocketAddr,
    gunicorn: Process,
    postgres: Postgres,
    url: String,
    directory: TempDir,
}

impl Site {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (postgres, url) = tuned_postgres().await;
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let program = |name: &str| {
            let mut command = Command::new(tools().join("original/bin").join(name));
            command.current_dir(workspace().join("tests/bench")).env("PYTHONDONTWRITEBYTECODE", "1");
            command.env("PGHOST", postgres.socket()).env("PGPORT", postgres.port().to_string());
            command
        };
        let migrated = program("python").arg("django_djaffar.py").output();
        let migrated = migrated.expect("Python starts: tests/setup installs django-djaffar");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        let mut command = program("gunicorn");
        command.args(["--workers", WORKERS, "--bind", &target.to_string(), "django_djaffar:application"]);
        let gunicorn = Process::start("gunicorn", &mut command, &directory.path().join("log"));
        let connected = || async { TcpStream::connect(target).await.is_ok() };
        wait_until("gunicorn", START_LIMIT, connected).await;
        Self { target, gunicorn, postgres, url, directory }
    }

    async fn rows(&self) -> f64 {
        let mut connection = PgConnection::connect(&self.url).await.expect("the server can be reached");
        let count = sqlx::query_as("select count(*) from djaffar_activity").fetch_one(&mut connection);
        let (count,): (i64,) = count.await.expect("the table is there");
        count as f64
    }

    /// CPU seconds so far: the site's and its database's.
    fn used(&self) -> [f64; 2] {
        let database = self.postgres.id().expect("it runs");
        [family_cpu_seconds(self.gunicorn.id()), family_cpu_seconds(database)]
    }

    /// Its workers with it.
    async fn stop(mut self) {
        self.gunicorn.signal(Signal::TERM);
        self.gunicorn.ended(START_LIMIT).await;
    }
}

struct Round {
    rate: f64,
    /// Per request: the site's and its database's.
    cpu_micros: [f64; 2],
}

async fn measure() -> Round {
    let site = Site::start().await;
    let requests = end_to_end::prepare(site.target, Requests::Single).await;
    let load = Load { target: site.target, connections: CONNECTIONS, seconds: effort::seconds(SECONDS) };
    let (rows, used) = (site.rows().await, site.used());
    let measured = wrk::repeat(load, &requests, site.directory.path()).await;
    let stored = site.rows().await - rows;
    assert!(stored >= measured.requests, "{stored} rows of {} requests", measured.requests);
    let now = site.used();
    let cpu_micros = [0, 1].map(|index| (now[index] - used[index]) * 1e6 / measured.requests);
    site.stop().await;
    Round { rate: measured.requests_per_second, cpu_micros }
}

pub(crate) async fn run(report: &mut Report) {
    report.heading("Against django-djaffar 0.1.10");
    report.table(&["one activity a request", "rows/s", "ratio", "target", "CPU µs/request", "database"]);
    let (mut before, mut now) = (Vec::new(), Vec::new());
    for _ in 0..effort::rounds(ROUNDS) {
        before.push(measure().await);
        now.push(end_to_end::requests_to_rows().await);
    }
    let rates: Vec<f64> = before.iter().map(|round| round.rate).collect();
    let ratios = ratios(&now, &rates);
    let cpu = |index: usize| median(&before.iter().map(|round| round.cpu_micros[index]).collect::<Vec<_>>());
    report.row([
        format!("django-djaffar 0.1.10, gunicorn with {WORKERS} workers"),
        format!("{:.0}", median(&rates)),
        "1".to_owned(),
        "-".to_owned(),
        format!("{:.0}", cpu(0)),
        format!("{:.0}", cpu(1)),
    ]);
    let target = report.judge("rows/s, by those of django-djaffar 0.1.10", median(&ratios), "", TARGET);
    let row = ["ingest, JetStream, writer", &thousands(median(&now)), &spread(&ratios, 0), &target, "-", "-"];
    report.row(row);
    report.line("");
    report.line(format!(
        "{CONNECTIONS} connections and 500 sessions on both sides, the same requests, the same settings of Postgres, \
         Django 5.2. Not like for like: django-djaffar answers after its COMMIT and looks up session and user for \
         each request; ours answers after the frame is synced, and its rows count once they are committed."
    ));
}
