//! More writers on one Postgres, more ingests on one broker.

use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::Djaffar;
use futures_util::future::join_all;

use crate::activities::activity;
use crate::backlog::Backlog;
use crate::effort;
use crate::machine::{Cores, cpu_seconds};
use crate::report::{Report, median, ratios, spread, thousands};
use crate::rows::drain_into_postgres;
use crate::servers::ingest;
use crate::wrk::{self, Load, Visitor};

const ROUNDS: usize = 3;
const ROWS: u32 = 600_000;
const SECONDS: u32 = 4;
/// Of all ingests together.
const CONNECTIONS: u32 = 256;
const WRITERS: [usize; 3] = [1, 2, 4];
const INGESTS: [usize; 2] = [1, 2];

struct Round {
    rate: f64,
    /// Of ingests or writers, in cores.
    own_cores: f64,
    broker_cores: f64,
    /// Of all cores, from 0 to 1.
    busy: f64,
}

pub(crate) async fn run(report: &mut Report) {
    report.heading("More of them");
    report.table(&["", "per second", "ratio to one", "their cores", "the broker's", "machine busy"]);
    let mut rounds: [Vec<Round>; WRITERS.len()] = Default::default();
    for _ in 0..effort::rounds(ROUNDS) {
        for (count, rounds) in WRITERS.iter().zip(&mut rounds) {
            rounds.push(writers(*count).await);
        }
    }
    rows(report, "writer", &WRITERS, &rounds);
    let mut rounds: [Vec<Round>; INGESTS.len()] = Default::default();
    for _ in 0..effort::rounds(ROUNDS) {
        for (count, rounds) in INGESTS.iter().zip(&mut rounds) {
            rounds.push(ingests(*count).await);
        }
    }
    rows(report, "ingest", &INGESTS, &rounds);
    report.line("");
    report.line(format!(
        "Writers: rows/s of {} from one JetStream into one Postgres. Ingests: requests/s of {CONNECTIONS} \
         connections, spread over them, into one JetStream with `sync_interval: always`. Where the machine is busy \
         already with one, more of them can only share its cores: what limits them here is the machine.",
        effort::rows(ROWS)
    ));
}

async fn writers(count: usize) -> Round {
    let backlog = Backlog { rows: effort::rows(ROWS), make: activity };
    let drained = drain_into_postgres(backlog, count).await;
    Round {
        rate: drained.rate,
        own_cores: drained.cpu_micros * drained.rate / 1e6,
        broker_cores: drained.broker_cpu_micros.unwrap_or(f64::NAN) * drained.rate / 1e6,
        busy: drained.busy,
    }
}

async fn ingests(count: usize) -> Round {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let nats = NatsServer::running().await;
    let mut ingests: Vec<Djaffar> = (0..count).map(|_| ingest(&nats)).collect();
    for ingest in &mut ingests {
        ingest.start_ready().await;
    }
    let seconds = effort::seconds(SECONDS);
    let connections = CONNECTIONS / u32::try_from(count).expect("a few");
    let broker = nats.id().expect("it runs");
    let own = || ingests.iter().filter_map(Djaffar::id).map(cpu_seconds).sum::<f64>();
    let (own_before, broker_before, cores) = (own(), cpu_seconds(broker), Cores::read());
    let loads = ingests.iter().map(|ingest| Load { target: ingest.listen(), connections, seconds });
    let visitors = [Visitor::default()];
    let measured = join_all(loads.map(|load| wrk::run(load, &visitors, directory.path()))).await;
    Round {
        rate: measured.iter().map(|measured| measured.requests_per_second).sum(),
        own_cores: (own() - own_before) / f64::from(seconds),
        broker_cores: (cpu_seconds(broker) - broker_before) / f64::from(seconds),
        busy: Cores::busy_since(cores),
    }
}

fn rows(report: &mut Report, role: &str, counts: &[usize], rounds: &[Vec<Round>]) {
    let rates = |rounds: &[Round]| rounds.iter().map(|round| round.rate).collect::<Vec<f64>>();
    for (count, of_count) in counts.iter().zip(rounds) {
        let each = |value: fn(&Round) -> f64| median(&of_count.iter().map(value).collect::<Vec<_>>());
        report.row([
            format!("{count} {role}{}", if *count == 1 { "" } else { "s" }),
            thousands(median(&rates(of_count))),
            spread(&ratios(&rates(of_count), &rates(&rounds[0])), 2),
            format!("{:.2}", each(|round| round.own_cores)),
            format!("{:.2}", each(|round| round.broker_cores)),
            format!("{:.0} %", each(|round| round.busy) * 100.0),
        ]);
    }
}
