//! `djaffar dump` against psql's `\copy` of the same rows, `djaffar load` against the writer, and
//! what both hold in memory.
//!
//! Both sides of a dump write to /dev/null. The clock of dump and load runs from start to end.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use djaffar_tests::{binary, postgres};
use serde_json::json;
use shared::event::EventDate;

use crate::activities::activity;
use crate::backlog::{Backlog, Drained};
use crate::copy::tuned_postgres;
use crate::effort;
use crate::machine::cpu_seconds;
use crate::report::{Report, Target, median, ratios, spread, thousands};
use crate::rows::drain_into_postgres;

const ROUNDS: usize = 3;
const ROWS: u32 = 1_000_000;
/// The memory is also taken at so many times as many.
const MORE: u32 = 5;
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const COPY: &str = "\\copy (select id, date, received_at, user_id, session_id, ip_address, path, referer \
                    from activity order by date, id) to stdout";
const DUMP_TARGET: Target = Target::AtLeast(0.5);
const LOAD_TARGET: Target = Target::AtLeast(0.7);
const GROWTH_TARGET: Target = Target::AtMost(20.0);
const DUMP: &str = "`djaffar dump --format ndjson`";
const LOAD: &str = "`djaffar load` of lines of JSON";

pub(crate) async fn run(report: &mut Report) {
    let rows = effort::rows(ROWS);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("rows.ndjson");
    write_lines(&path, rows);
    report.heading("Dump and load");
    report.table(&["Postgres, over its Unix socket", "rows/s", "ratio", "target", "CPU µs/row"]);
    let (load, dump) = speed(report, &path, rows).await;
    write_lines(&path, rows * MORE);
    let (server, url) = tuned_postgres().await;
    let (load_more, dump_more) = (loaded(&url, &path, rows * MORE), dumped(&url, rows * MORE));
    drop(server);
    report.line("");
    let titles = [format!("{rows} rows"), format!("{} rows", rows * MORE)];
    report.table(&["peak MB", &titles[0], &titles[1], "difference", "target"]);
    for (name, once, more) in [(DUMP, dump, dump_more), (LOAD, load, load_more)] {
        let difference = more.peak_megabytes - once.peak_megabytes;
        let target =
            report.judge(format!("memory: {name}, five times the rows"), difference, " MB", GROWTH_TARGET);
        let shown = |megabytes: f64| format!("{megabytes:.1}");
        report.row([
            name,
            &shown(once.peak_megabytes),
            &shown(more.peak_megabytes),
            &shown(difference),
            &target,
        ]);
    }
    report.line("");
    report.line(
        "Dumps by date and id to /dev/null, beside `psql` with `\\copy (select ...) to stdout` of the same rows in the \
         same order; loads of a file into a new database, beside `djaffar writer` of as many rows. CPU is that of the \
         client. The memory is the most that was ever resident (VmHWM), in millions of bytes.",
    );
}

/// Returns what one load and one dump took.
async fn speed(report: &mut Report, path: &Path, rows: u32) -> (Ended, Ended) {
    let (mut writers, mut loads, mut copies, mut dumps) =
        (Vec::<Drained>::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort::rounds(ROUNDS) {
        writers.push(drain_into_postgres(Backlog { rows, make: activity }, 1).await);
        let (_server, url) = tuned_postgres().await;
        loads.push(loaded(&url, path, rows));
        copies.push(copied(&url, rows));
        dumps.push(dumped(&url, rows));
    }
    let rates = |side: &[Ended]| side.iter().map(|ended| ended.rate).collect::<Vec<f64>>();
    let cpu = |side: &[Ended]| median(&side.iter().map(|ended| ended.cpu_micros).collect::<Vec<f64>>());
    let writer_rates: Vec<f64> = writers.iter().map(|writer| writer.rate).collect();
    let writer_cpu = median(&writers.iter().map(|writer| writer.cpu_micros).collect::<Vec<f64>>());
    let psql = "`psql`, `\\copy (select ...) to stdout`";
    let writer = "`djaffar writer`: JetStream to Postgres";
    for (names, ceiling, ceiling_cpu, side, target) in [
        ([psql, DUMP], rates(&copies), cpu(&copies), &dumps, DUMP_TARGET),
        ([writer, LOAD], writer_rates, writer_cpu, &loads, LOAD_TARGET),
    ] {
        let ratios = ratios(&rates(side), &ceiling);
        let target = report.judge(format!("{}, against {}", names[1], names[0]), median(&ratios), "", target);
        report.row([names[0], &thousands(median(&ceiling)), "1", "-", &format!("{ceiling_cpu:.1}")]);
        let measured = (thousands(median(&rates(side))), spread(&ratios, 2), format!("{:.1}", cpu(side)));
        report.row([names[1], &measured.0, &measured.1, &target, &measured.2]);
    }
    (loads.swap_remove(0), dumps.swap_remove(0))
}

fn copied(url: &str, rows: u32) -> Ended {
    let arguments = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", COPY, url];
    Ended::of(Command::new(postgres::program("psql")).args(arguments), rows)
}

fn dumped(url: &str, rows: u32) -> Ended {
    let arguments = ["dump", "activity", "--format", "ndjson", "--database", url];
    Ended::of(Command::new(binary("djaffar")).args(arguments), rows)
}

fn loaded(url: &str, path: &Path, rows: u32) -> Ended {
    Ended::of(Command::new(binary("djaffar")).args(["load", "--database", url]).arg(path), rows)
}

/// What a process took.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// Rows a second.
    rate: f64,
    cpu_micros: f64,
    peak_megabytes: f64,
}

impl Ended {
    fn of(command: &mut Command, rows: u32) -> Self {
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
        let (mut cpu, mut peak) = (0.0, 0.0);
        let status = loop {
            // Both only grow, and the last look is at most an interval old.
            cpu = f64::max(cpu, cpu_seconds(child.id()));
            peak = f64::max(peak, peak_megabytes(child.id()));
            if let Some(status) = child.try_wait().expect("our own child") {
                break status;
            }
            pause();
        };
        assert!(status.success(), "{command:?}: {status}");
        let rate = f64::from(rows) / started.elapsed().as_secs_f64();
        Self { rate, cpu_micros: cpu * 1e6 / f64::from(rows), peak_megabytes: peak }
    }
}

/// Nothing once it has ended.
fn peak_megabytes(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    kibibytes.and_then(|text| text.parse::<f64>().ok()).unwrap_or_default() * 1024.0 / 1e6
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs on this thread while a child does")]
fn pause() {
    std::thread::sleep(POLL_INTERVAL);
}

fn write_lines(path: &Path, rows: u32) {
    let start = shared::time::now() - chrono::TimeDelta::hours(1);
    let shown = |date: EventDate| date.instant().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    for number in 0..rows {
        let activity = activity(number, start);
        let line = json!({
            "id": activity.id.0.to_string(),
            "date": shown(activity.date),
            "received_at": shown(activity.received_at),
            "user": activity.user_id.as_ref().map(|id| id.as_str()),
            "session": activity.session_id.as_ref().map(|id| id.as_str()),
            "ip_address": activity.ip_address.map(|address| address.to_string()),
            "path": activity.path.as_str(),
            "referer": activity.referer.as_str(),
        });
        writeln!(file, "{line}").expect("the disk has room");
    }
    file.into_inner()
        .map_err(|error| error.into_error())
        .and_then(|file| file.sync_all())
        .expect("the disk syncs");
}
