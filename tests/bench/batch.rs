//! Activities per second of the batch endpoint against a handler that parses and drops the same bodies.

use std::io::Write as _;
use std::net::SocketAddr;

use chrono::SecondsFormat;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::activities::activity;
use crate::effort;
use crate::figures::Figures;
use crate::report::{Report, Target, mebibytes, median, or_dash, ratios, spread, thousands};
use crate::servers::{Kind, Round, Servers};
use crate::wrk::{self, Load, Visitor};

const ROUNDS: usize = 3;
const SECONDS: u32 = 4;
pub(crate) const CONNECTIONS: u32 = 16;
pub(crate) const ITEMS: u32 = 100;
/// Different bodies, sent in turn.
const BODIES: u32 = 16;
const TARGET: Target = Target::AtLeast(0.25);

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

/// Whether an item says what its id is; without, the same body again is another activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    Sent,
    MadeByIngest,
}

const CODINGS: [Coding; 3] = [Coding::Identity, Coding::Gzip, Coding::Zstd];
const KINDS: [Kind; 2] = [Kind::Ceiling, Kind::JetStreamAlways];

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "NDJSON",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn header(self) -> Option<(&'static str, String)> {
        (self != Self::Identity).then(|| ("Content-Encoding", self.name().to_owned()))
    }

    fn encode(self, lines: &str) -> Vec<u8> {
        match self {
            Self::Identity => lines.as_bytes().to_vec(),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(lines.as_bytes()).expect("memory");
                encoder.finish().expect("memory")
            }
            Self::Zstd => zstd::bulk::compress(lines.as_bytes(), 3).expect("memory"),
        }
    }
}

/// The bytes of several requests of [`ITEMS`] activities each.
pub(crate) fn requests(target: SocketAddr, coding: Coding, ids: Ids, cookie: &str) -> Vec<Vec<u8>> {
    let start = shared::time::now() - chrono::TimeDelta::hours(1);
    let mut headers = vec![("Cookie", cookie.to_owned())];
    headers.extend(coding.header());
    let visitor = Visitor(headers);
    let request = |number: u32| {
        let numbers = number * ITEMS..(number + 1) * ITEMS;
        let lines: String = numbers.map(|number| line(&activity(number, start), ids)).collect();
        wrk::request(target, "batch", "application/x-ndjson", &visitor, &coding.encode(&lines))
    };
    (0..BODIES).map(request).collect()
}

fn line(activity: &shared::event::Activity, ids: Ids) -> String {
    let mut item = json!({
        "date": activity.date.instant().to_rfc3339_opts(SecondsFormat::Millis, true),
        "path": activity.path.as_str(),
        "referer": activity.referer.as_str(),
    });
    if ids == Ids::Sent {
        item["id"] = activity.id.0.to_string().into();
    }
    format!("{item}\n")
}

async fn measure(kind: Kind, coding: Coding) -> Round {
    let servers = Servers::start(kind).await;
    let cookie = wrk::session_cookie(servers.target, &Visitor::default()).await;
    let requests = requests(servers.target, coding, Ids::Sent, &cookie);
    let load = Load { target: servers.target, connections: CONNECTIONS, seconds: effort::seconds(SECONDS) };
    let before = servers.used();
    let measured = wrk::repeat(load, &requests, servers.directory()).await;
    servers.round(measured, before)
}

pub(crate) async fn run(report: &mut Report, figures: &mut Figures) {
    report.heading("Batches");
    report.table(&[
        &format!("{ITEMS} activities a request, {CONNECTIONS} connections"),
        "activities/s",
        "ratio",
        "target",
        "p99 ms",
        "CPU µs/activity",
        "broker",
        "peak MiB",
    ]);
    for coding in CODINGS {
        let mut rounds: [Vec<Round>; KINDS.len()] = Default::default();
        for _ in 0..effort::rounds(ROUNDS) {
            for (kind, rounds) in KINDS.iter().zip(&mut rounds) {
                rounds.push(measure(*kind, coding).await);
            }
        }
        row(report, (coding, Kind::Ceiling), &rounds[0], &rounds[0]);
        row(report, (coding, Kind::JetStreamAlways), &rounds[1], &rounds[0]);
        if coding == Coding::Identity {
            figures.jetstream_batched = Some(median(&rates(&rounds[1])));
        }
    }
    report.line("");
    report.line(
        "Each item has an id, a date, a path and a referer. The ceiling decompresses the body, parses every line \
         and drops it, in the same accept loop; the other answers after all are synced (`sync_interval: always`).",
    );
}

/// Activities per second.
fn rates(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(|round| round.measured.requests_per_second * f64::from(ITEMS)).collect()
}

fn row(report: &mut Report, (coding, kind): (Coding, Kind), rounds: &[Round], ceiling: &[Round]) {
    let ratios = ratios(&rates(rounds), &rates(ceiling));
    let each = |value: fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
    let broker: Vec<f64> = rounds.iter().filter_map(|round| round.broker_cpu_micros).collect();
    let (name, target) = match kind {
        Kind::Ceiling => (format!("{}: parsed and dropped", coding.name()), None),
        _ => {
            let name = format!("{}: {}", coding.name(), kind.name());
            let target = report.judge(format!("batch, {name}"), median(&ratios), "", TARGET);
            (name, Some(target))
        }
    };
    report.row([
        name,
        thousands(median(&rates(rounds))),
        spread(&ratios, 2),
        or_dash(target),
        format!("{:.1}", each(|round| round.measured.p99_milliseconds)),
        format!("{:.2}", each(|round| round.cpu_micros) / f64::from(ITEMS)),
        or_dash((!broker.is_empty()).then(|| format!("{:.2}", median(&broker) / f64::from(ITEMS)))),
        format!("{:.0}", mebibytes(rounds.iter().map(|round| round.peak_bytes).max().unwrap_or(0))),
    ]);
}
