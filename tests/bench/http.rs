//! Requests per second of a synced answer against an empty handler.

use crate::effort;
use crate::figures::Figures;
use crate::report::{Report, Target, mebibytes, median, or_dash, ratios, spread, thousands};
use crate::servers::{Kind, Round, Servers};
use crate::wrk::{self, Load, Visitor};

const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
const KINDS: [Kind; 4] = [Kind::Ceiling, Kind::Embedded, Kind::JetStreamAlways, Kind::JetStreamDefault];
/// Of the slowest hundredth, against the empty handler's.
const P99_RATIO: Target = Target::AtMost(2.0);

fn target(kind: Kind, connections: u32) -> Option<Target> {
    match (kind, connections) {
        (Kind::Embedded, _) => Some(Target::AtLeast(0.45)),
        (Kind::JetStreamAlways, 64) => Some(Target::AtLeast(0.55)),
        (Kind::JetStreamAlways, _) => Some(Target::AtLeast(0.65)),
        (Kind::Ceiling | Kind::JetStreamDefault, _) => None,
    }
}

async fn measure(kind: Kind, connections: u32) -> Round {
    let servers = Servers::start(kind).await;
    let load = Load { target: servers.target, connections, seconds: effort::seconds(SECONDS) };
    let before = servers.used();
    let measured = wrk::run(load, &[Visitor::default()], servers.directory()).await;
    servers.round(measured, before)
}

pub(crate) async fn run(report: &mut Report, figures: &mut Figures) {
    report.heading("Requests per second");
    report.table(&[
        "64 and 256 connections",
        "requests/s",
        "ratio",
        "target",
        "p99 ms",
        "p99 ratio",
        "target",
        "CPU µs/request",
        "broker",
        "peak MiB",
    ]);
    for connections in [64, 256] {
        let mut rounds: [Vec<Round>; KINDS.len()] = Default::default();
        for _ in 0..effort::rounds(ROUNDS) {
            for (kind, rounds) in KINDS.iter().zip(&mut rounds) {
                rounds.push(measure(*kind, connections).await);
            }
        }
        for (kind, measured) in KINDS.iter().zip(&rounds) {
            row(report, *kind, connections, measured, &rounds[0]);
            figures.requests(*kind, median(&rates(measured)));
        }
    }
    report.line("");
    report.line(
        "Each request carries a session cookie and a form of 150 bytes; the answer comes after the sync. \
         `djaffar serve` also writes the rows to SQLite on the same cores meanwhile.",
    );
}

fn rates(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(|round| round.measured.requests_per_second).collect()
}

fn row(report: &mut Report, kind: Kind, connections: u32, rounds: &[Round], ceiling: &[Round]) {
    let p99 = |rounds: &[Round]| -> Vec<f64> {
        rounds.iter().map(|round| round.measured.p99_milliseconds).collect()
    };
    let rate_ratios = ratios(&rates(rounds), &rates(ceiling));
    let p99_ratios = ratios(&p99(rounds), &p99(ceiling));
    let broker: Vec<f64> = rounds.iter().filter_map(|round| round.broker_cpu_micros).collect();
    let target = target(kind, connections);
    let name = format!("{connections}: {}", kind.name());
    let judged = target.map(|target| {
        let p99_name = format!("{name}: p99");
        let rate = report.judge(&name, median(&rate_ratios), "", target);
        (rate, report.judge(p99_name, median(&p99_ratios), "", P99_RATIO))
    });
    let (rate_target, p99_target) = judged.unzip();
    report.row([
        name,
        thousands(median(&rates(rounds))),
        spread(&rate_ratios, 2),
        or_dash(rate_target),
        format!("{:.1}", median(&p99(rounds))),
        spread(&p99_ratios, 1),
        or_dash(p99_target),
        format!("{:.1}", median(&rounds.iter().map(|round| round.cpu_micros).collect::<Vec<_>>())),
        or_dash((!broker.is_empty()).then(|| format!("{:.1}", median(&broker)))),
        format!("{:.0}", mebibytes(rounds.iter().map(|round| round.peak_bytes).max().unwrap_or(0))),
    ]);
}
