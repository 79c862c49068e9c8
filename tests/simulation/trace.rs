//! What happens in a run, in its order: two runs of a seed have the same digest.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use shared::queue::embedded::simulated::Operation;

use crate::faults::Fault;

/// Names a client, a writer, an ingest or a lane.
pub(crate) type Number = u64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Sends { client: Number, first: Number, activities: usize },
    Hears { client: Number, answer: &'static str },
    GivesUp { client: Number },
    Starts { process: &'static str },
    Dies { process: &'static str, cause: &'static str },
    Stops { process: &'static str },
    Disk(Operation),
    DiskFails,
    Published { activities: u32, bytes: usize, outcome: &'static str },
    Delivered { bytes: usize, count: u64 },
    Acked { outcome: &'static str },
    HandedBack { delay: Duration },
    StoreBegins { rows: usize, letters: usize },
    Committed { rows: usize, letters: usize, stored: u64 },
    StoreFails { how: &'static str },
    Weather(&'static str),
    Strikes(Fault),
    Calm,
}

#[derive(Debug)]
pub(crate) struct Trace {
    hasher: DefaultHasher,
    events: u64,
    lines: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Digest,
    /// And every event as a line.
    Lines,
}

impl Trace {
    pub(crate) fn new(record: Record) -> Self {
        let lines = (record == Record::Lines).then(Vec::new);
        Self { hasher: DefaultHasher::new(), events: 0, lines }
    }

    pub(crate) fn tell(&mut self, elapsed: Duration, event: &Event) {
        elapsed.hash(&mut self.hasher);
        event.hash(&mut self.hasher);
        self.events += 1;
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12.3} s  {event:?}", elapsed.as_secs_f64()));
        }
    }

    pub(crate) fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
