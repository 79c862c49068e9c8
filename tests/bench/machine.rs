//! The machine in words, and what its disk takes to sync: no figure means anything without them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use crate::report::{Report, median};

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
    report.line(format!(
        "Syncing 4 KiB to this disk takes {:.0} µs when they are overwritten and {:.0} µs when they are appended \
         (medians of {SYNCS}).",
        sync_micros(Place::Overwritten),
        sync_micros(Place::Appended)
    ));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Overwritten,
    Appended,
}

fn sync_micros(place: Place) -> f64 {
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
    median(&(0..SYNCS).map(once).collect::<Vec<_>>())
}

fn first_number(path: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(0)
}

/// CPU seconds that a process has used so far, user and system.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|index| fields.get(*index)?.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_SECOND
}
