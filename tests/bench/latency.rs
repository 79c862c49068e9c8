//! How long the synced answer takes when the server is half busy, against one sync of the same disk.

use std::time::Duration;

use crate::effort;
use crate::machine::{Place, Syncs};
use crate::open_loop::OpenLoop;
use crate::report::{Report, Target, median, percentile, spread, thousands};
use crate::servers::{Kind, Servers};
use crate::wrk::{self, Load, Visitor};

const ROUNDS: usize = 3;
/// Of the closed loop that finds the most, and of the open loop at half of it.
const SECONDS: u32 = 5;
const CONNECTIONS: u32 = 64;
const KINDS: [Kind; 2] = [Kind::JetStreamAlways, Kind::Embedded];
const TARGETS: [Target; 2] = [Target::AtMost(3.0), Target::AtMost(10.0)];

struct Round {
    syncs: Syncs,
    /// Requests per second of the closed loop.
    most: f64,
    /// Sorted.
    latencies: Vec<f64>,
}

impl Round {
    /// In microseconds.
    fn percentile(&self, share: f64) -> f64 {
        percentile(&self.latencies, share)
    }

    fn syncs(&self, share: f64) -> f64 {
        self.percentile(share) / self.syncs.median()
    }
}

async fn measure(kind: Kind) -> Round {
    let syncs = Syncs::measure(Place::Appended);
    let servers = Servers::start(kind).await;
    let seconds = effort::seconds(SECONDS);
    let load = Load { target: servers.target, connections: CONNECTIONS, seconds };
    let most = wrk::run(load, &[Visitor::default()], servers.directory()).await.requests_per_second;
    drop(servers);
    // A new one, that has no rows of the closed loop left to store.
    let servers = Servers::start(kind).await;
    let cookie = wrk::session_cookie(servers.target, &Visitor::default()).await;
    let visitor = Visitor(vec![("Cookie", cookie)]);
    let open_loop = OpenLoop {
        target: servers.target,
        rate: most / 2.0,
        duration: Duration::from_secs(seconds.into()),
        connections: CONNECTIONS as usize,
        request: wrk::log_request(servers.target, &visitor),
    };
    let running = tokio::task::spawn_blocking(move || open_loop.run());
    Round { syncs, most, latencies: running.await.expect("every request is answered") }
}

pub(crate) async fn run(report: &mut Report) {
    report.heading("Latency at half the maximum rate");
    report.table(&[
        "open loop, 64 connections",
        "requests/s",
        "sync µs",
        "its p99",
        "p50 µs",
        "in syncs",
        "target",
        "p99 µs",
        "in syncs",
        "target",
        "p99.9 µs",
    ]);
    let mut rounds: [Vec<Round>; KINDS.len()] = Default::default();
    for _ in 0..effort::rounds(ROUNDS) {
        for (kind, rounds) in KINDS.iter().zip(&mut rounds) {
            rounds.push(measure(*kind).await);
        }
    }
    for (kind, rounds) in KINDS.iter().zip(&rounds) {
        row(report, *kind, rounds);
    }
    report.line("");
    report.line(
        "A latency counts from the moment when the request was due, so nobody waits uncounted behind a slow answer. \
         A sync is 4 KiB appended to a file, in the same round, before the load begins.",
    );
}

fn row(report: &mut Report, kind: Kind, rounds: &[Round]) {
    let each = |value: &dyn Fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
    let mut cells = vec![
        kind.name().to_owned(),
        thousands(median(&each(&|round| round.most / 2.0))),
        format!("{:.0}", median(&each(&|round| round.syncs.median()))),
        format!("{:.0}", median(&each(&|round| round.syncs.percentile(0.99)))),
    ];
    for ((share, name), target) in [(0.5, "p50"), (0.99, "p99")].into_iter().zip(TARGETS) {
        let syncs = each(&|round| round.syncs(share));
        let figure = format!("latency {name} at half the rate, in syncs: {}", kind.name());
        cells.push(format!("{:.0}", median(&each(&|round| round.percentile(share)))));
        cells.push(spread(&syncs, 1));
        cells.push(report.judge(figure, median(&syncs), "", target));
    }
    cells.push(format!("{:.0}", median(&each(&|round| round.percentile(0.999)))));
    report.row(cells);
}
