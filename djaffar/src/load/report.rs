//! What a load says while it runs: bad records on stderr, and how far it is on a terminal.

use writer::load::Place;

use super::source::Source;
use crate::progress::Progress;

#[derive(Debug)]
pub(super) struct Report {
    progress: Progress,
    names: Vec<String>,
    /// Bytes of the files before each.
    before: Vec<u64>,
}

impl Report {
    pub(super) fn new(sources: &[Source]) -> Self {
        let names = sources.iter().map(|source| source.name().to_owned()).collect();
        let mut total = Some(0);
        let mut before = Vec::with_capacity(sources.len());
        for source in sources {
            before.push(total.unwrap_or_default());
            total = total.zip(source.bytes()).map(|(sum, bytes)| sum + bytes);
        }
        let progress =
            total.map_or_else(|| Progress::of_stream("load"), |sum| Progress::of_bytes("load", sum));
        Self { progress, names, before }
    }

    /// A record that is left out. The reason repeats nothing of it.
    pub(super) fn bad(&self, place: Place, reason: &str) {
        let name = self.names.get(place.file).map_or("", String::as_str);
        self.progress.say(&format!("djaffar load: {name}:{}: {reason}", place.line));
    }

    pub(super) fn reached(&self, file: usize, bytes: u64) {
        self.progress.reached(self.before.get(file).copied().unwrap_or_default() + bytes);
    }

    pub(super) fn end(&self) {
        self.progress.end();
    }
}
