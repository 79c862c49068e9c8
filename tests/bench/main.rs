//! What a synced answer and a stored row cost, each against the same work without it.
//!
//! `tests/bench/run` starts it; with names of [`PARTS`] it runs those alone.

mod activities;
mod backlog;
mod batch;
mod ceiling;
mod copy;
mod crowd;
mod django;
mod effort;
mod encodings;
mod end_to_end;
mod figures;
mod files;
mod http;
mod latency;
mod machine;
mod memory;
mod open_loop;
mod report;
mod rows;
mod scaling;
mod servers;
mod space;
mod sqlite;
mod steady;
mod users;
mod wrk;

use std::env;

use figures::Figures;
use report::Report;

/// In the order in which they run: some are the ceilings of later ones.
const PARTS: [&str; 14] = [
    "http",
    "batch",
    "rows",
    "end_to_end",
    "django",
    "latency",
    "memory",
    "crowd",
    "scaling",
    "space",
    "users",
    "files",
    "encodings",
    STEADY,
];
/// Takes a quarter of an hour: runs only by its name.
const STEADY: &str = "steady";

#[tokio::main]
async fn main() {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["ceiling", address] = arguments[..] {
        return ceiling::serve(address.parse().expect("an address")).await;
    }
    if let Some(unknown) = arguments.iter().find(|argument| !PARTS.contains(argument)) {
        panic!("there is no part {unknown:?}: {}", PARTS.join(", "));
    }
    let mut report = Report::default();
    let mut figures = Figures::default();
    machine::describe(&mut report);
    let is_wanted = |part: &&&str| match &arguments[..] {
        [] => **part != STEADY,
        names => names.contains(part),
    };
    for part in PARTS.iter().filter(is_wanted) {
        Box::pin(measure(part, &mut report, &mut figures)).await;
    }
    report.conclude();
    if arguments.is_empty() {
        report.write("tests/bench/RESULTS.md");
    }
}

async fn measure(part: &str, report: &mut Report, figures: &mut Figures) {
    match part {
        "http" => http::run(report, figures).await,
        "batch" => batch::run(report, figures).await,
        "users" => users::run(report).await,
        "rows" => rows::run(report, figures).await,
        "end_to_end" => end_to_end::run(report, figures).await,
        "django" => django::run(report).await,
        "latency" => latency::run(report).await,
        "memory" => memory::run(report).await,
        "crowd" => crowd::run(report).await,
        "scaling" => scaling::run(report).await,
        "space" => space::run(report).await,
        "files" => files::run(report).await,
        "encodings" => encodings::run(report),
        STEADY => steady::run(report).await,
        _ => unreachable!("it is one of the parts"),
    }
}
