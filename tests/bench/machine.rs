//! The machine in words, and what its disk takes to sync: no figure means anything without them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use djaffar_tests::{binary, postgres};

use crate::report::{Report, median, percentile};

const SYNCS: usize = 300;
/// The unit of /proc/PID/stat, the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

pub(crate) fn describe(report: &mut Report) {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = first_number("/proc/meminfo") / (1024 * 1024);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: String = kernel.split('.').take(2).collect::<Vec<_>>().join(".");
    let date = shared::time::now().format("%Y-%m-%d");
    report.line("# Benchmark results");
    report.line("");
    report.line(format!(
        "Written by `tests/bench/run` on {date}: {cores} cores, {memory} GiB of memory, Linux {kernel}; load \
         generator, servers and database share the cores. Every comparison alternates its variants round by round; \
         a ratio is taken inside a round, then the median of the rounds, with the range in brackets. Ratios matter, \
         absolute figures do not."
    ));
    report.line("");
    report.line(versions());
    report.line("");
    report.line(format!(
        "Syncing 4 KiB to this disk takes {:.0} µs when they are overwritten and {:.0} µs when they are appended \
         (medians of {SYNCS}).",
        Syncs::measure(Place::Overwritten).median(),
        Syncs::measure(Place::Appended).median()
    ));
}

fn versions() -> String {
    let nats = binary("nats-server");
    let postgres = postgres::program("postgres");
    let programs =
        [("rustc", "rustc".into()), ("nats-server", nats), ("PostgreSQL", postgres), ("wrk", "wrk".into())];
    let programs = programs.map(|(name, program)| format!("{name} {}", version(&program)));
    format!("{}, SQLite {}.", programs.join(", "), rusqlite::version())
}

/// The first word of what `--version` prints that is a number; wrk's exit code is 1.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "v1.2.3" and "debian/1.2.3" are numbers too.
    let mut words = text.split([' ', '\n', '/']).map(|word| word.trim_start_matches('v'));
    let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    version.unwrap_or("of unknown version").to_owned()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Overwritten,
    Appended,
}

/// What it took to sync 4 KiB to the disk that holds temporary files, again and again.
pub(crate) struct Syncs {
    /// Microseconds, sorted.
    micros: Vec<f64>,
}

impl Syncs {
    pub(crate) fn measure(place: Place) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = File::create(directory.path().join("sync")).expect("a file");
        let block = [7_u8; 4096];
        file.write_all_at(&block, 0).expect("the disk takes it");
        file.sync_all().expect("the disk syncs");
        let once = |number: usize| {
            let offset = if place == Place::Appended { (number as u64 + 1) * 4096 } else { 0 };
            let started = Instant::now();
            file.write_all_at(&block, offset).expect("the disk takes it");
            file.sync_data().expect("the disk syncs");
            started.elapsed().as_secs_f64() * 1e6
        };
        let mut micros: Vec<f64> = (0..SYNCS).map(once).collect();
        micros.sort_by(f64::total_cmp);
        Self { micros }
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.micros)
    }

    /// Of them, `share` took no longer.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        percentile(&self.micros, share)
    }
}

fn first_number(path: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(0)
}

/// CPU seconds that a process has used so far, user and system.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    stat(process).map_or(0.0, |stat| stat.own_seconds)
}

/// The same with its children: those that run, and those that have ended.
pub(crate) fn family_cpu_seconds(parent: u32) -> f64 {
    let processes = fs::read_dir("/proc").expect("/proc can be read").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = ids.filter_map(stat).filter(|stat| stat.parent == parent);
    let running: f64 = children.map(|child| child.own_seconds).sum();
    running + stat(parent).map_or(0.0, |stat| stat.own_seconds + stat.ended_seconds)
}

struct Stat {
    parent: u32,
    own_seconds: f64,
    /// Of children that have ended.
    ended_seconds: f64,
}

/// `None` once it has ended.
fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold spaces.
    let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
        ended_seconds: (ticks(13)? + ticks(14)?) / TICKS_PER_SECOND,
    })
}

/// How busy all cores were between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    busy_ticks: f64,
    ticks: f64,
}

impl Cores {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let ticks: Vec<f64> = first.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // Guests' time, in the last two columns, is in the others already.
        let all: f64 = ticks.iter().take(8).sum();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        Self { busy_ticks: all - idle, ticks: all }
    }

    /// From 0 to 1.
    pub(crate) fn busy_since(before: Self) -> f64 {
        let now = Self::read();
        (now.busy_ticks - before.busy_ticks) / (now.ticks - before.ticks)
    }
}
