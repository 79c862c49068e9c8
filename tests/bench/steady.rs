//! A quarter of an hour at half the maximum rate: does the memory stay, and is everything stored?

use std::time::{Duration, Instant};

use djaffar_tests::process::{Djaffar, resident_bytes};

use crate::backlog::Progress;
use crate::effort;
use crate::end_to_end::{CONNECTIONS, Pipeline, Place};
use crate::open_loop::OpenLoop;
use crate::report::{Report, Target, percentile, thousands};
use crate::wrk::{self, Load, Visitor};

const MINUTES: u32 = 15;
const SECONDS_OF_MOST: u32 = 5;
/// The shares of the time that are compared: minutes 3 to 6, and the last three.
const EARLY: (f64, f64) = (0.2, 0.4);
const LATE: (f64, f64) = (0.8, 1.0);
const EVERY: Duration = Duration::from_secs(2);
const TARGET: Target = Target::AtMost(1.05);

/// Resident bytes of one process, in turn.
struct Memory {
    name: &'static str,
    id: u32,
    samples: Vec<f64>,
}

impl Memory {
    fn of(name: &'static str, process: &Djaffar) -> Self {
        Self { name, id: process.id().expect("it runs"), samples: Vec::new() }
    }

    fn mean(&self, (from, to): (f64, f64)) -> f64 {
        let index = |share: f64| (self.samples.len() as f64 * share) as usize;
        let samples = &self.samples[index(from)..index(to)];
        samples.iter().sum::<f64>() / samples.len() as f64
    }

    /// The mean of each: growth that goes on, or a step.
    fn minutes(&self) -> impl Iterator<Item = f64> {
        let minutes = f64::from(MINUTES);
        (0..MINUTES)
            .map(move |minute| self.mean((f64::from(minute) / minutes, f64::from(minute + 1) / minutes)))
    }
}

pub(crate) async fn run(report: &mut Report) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let most = {
        let pipeline = Pipeline::start(Place::Split).await;
        let seconds = effort::seconds(SECONDS_OF_MOST);
        let load = Load { target: pipeline.entrance().listen(), connections: CONNECTIONS, seconds };
        wrk::run(load, &[Visitor::default()], directory.path()).await.requests_per_second
    };
    let pipeline = Pipeline::start(Place::Split).await;
    let mut progress = Progress::of(&pipeline.database()).await;
    let Pipeline::Split(split) = pipeline else { unreachable!("it was asked for") };
    let mut memories = [Memory::of("ingest", &split.ingest), Memory::of("writer", &split.writer)];
    let target = split.ingest.listen();
    let cookie = wrk::session_cookie(target, &Visitor::default()).await;
    let open_loop = OpenLoop {
        target,
        rate: most / 2.0,
        duration: Duration::from_secs((MINUTES * effort::seconds(60)).into()),
        connections: CONNECTIONS as usize,
        request: wrk::log_request(target, &Visitor(vec![("Cookie", cookie)])),
    };
    let load = open_loop.clone();
    let mut running = tokio::task::spawn_blocking(move || load.run());
    let latencies = loop {
        tokio::select! {
            latencies = &mut running => break latencies.expect("every request is answered with 204"),
            () = tokio::time::sleep(EVERY) => {}
        }
        for memory in &mut memories {
            memory.samples.push(resident_bytes(memory.id) as f64);
        }
    };
    let ended = Instant::now();
    // And the one that has brought the cookie.
    let (stored, at) = progress.reach(latencies.len() as u64 + 1).await;
    assert_eq!(stored, latencies.len() as u64 + 1, "what is stored is what was answered");
    report.heading("Steady load");
    report.table(&["", "MB, minutes 3 to 6", "MB, last three", "ratio", "target"]);
    for memory in &memories {
        let (early, late) = (memory.mean(EARLY), memory.mean(LATE));
        let judged = report.judge(format!("steady memory: {}", memory.name), late / early, "", TARGET);
        let ratio = format!("{:.3}", late / early);
        report.row([memory.name.to_owned(), megabytes(early), megabytes(late), ratio, judged]);
    }
    report.line("");
    for memory in &memories {
        let course = memory.minutes().map(megabytes).collect::<Vec<_>>().join(", ");
        report.line(format!("{}, MB in each minute: {course}.", memory.name));
    }
    report.line("");
    report.line(format!(
        "{} minutes at {} requests/s, half of the most: {} answered with 204 and stored, none otherwise; p50 {:.0} µs, \
         p99 {:.0} µs, p99.9 {:.0} µs; the last row {:.1} s after the last answer.",
        open_loop.duration.as_secs() / 60,
        thousands(open_loop.rate),
        latencies.len(),
        percentile(&latencies, 0.5),
        percentile(&latencies, 0.99),
        percentile(&latencies, 0.999),
        (at - ended).as_secs_f64(),
    ));
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1}", bytes / 1e6)
}
