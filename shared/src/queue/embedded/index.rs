//! Which frames wait, are delivered or are due again. Pure; time is passed in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use chrono::DateTime;
use tokio::time::Instant;

use super::log::Recovered;
use super::record::RecordHead;
use crate::queue::Backlog;

/// Names a frame for as long as it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) position: usize,
}

/// Some 40 bytes per frame; a frame's bytes are on the disk.
#[derive(Debug)]
struct Entry {
    head: RecordHead,
    deliveries: u16,
    acked: bool,
}

#[derive(Debug, Default)]
struct SegmentEntries {
    entries: Vec<Entry>,
    unacked: usize,
    /// Everything before it is acked.
    first_unacked: usize,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    segments: BTreeMap<u64, SegmentEntries>,
    /// The next frame that has never been taken.
    cursor: Place,
    /// Taken, and handed back until then.
    returned: BinaryHeap<Reverse<(Instant, Place)>>,
    frames: u64,
    activities: u64,
    bytes: u64,
}

/// A frame that somebody has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) place: Place,
    pub(super) head: RecordHead,
    /// 1 for the first delivery.
    pub(super) count: u64,
}

impl Index {
    pub(super) fn from_recovered(recovered: Vec<Recovered>) -> Self {
        let mut index = Self::default();
        for Recovered { segment, frames } in recovered {
            for head in frames {
                index.insert(segment, head);
            }
        }
        index
    }

    pub(super) fn insert(&mut self, segment: u64, head: RecordHead) -> Place {
        self.frames += 1;
        self.activities += u64::from(head.activities);
        self.bytes += u64::from(head.length);
        let entries = self.segments.entry(segment).or_default();
        entries.unacked += 1;
        entries.entries.push(Entry { head, deliveries: 0, acked: false });
        Place { segment, position: entries.entries.len() - 1 }
    }

    /// Takes one frame: one that is due again, else the next new one.
    pub(super) fn take(&mut self, now: Instant) -> Option<Taken> {
        if let Some(Reverse((due, place))) = self.returned.peek().copied()
            && due <= now
        {
            self.returned.pop();
            return self.deliver(place);
        }
        let place = self.next_new()?;
        self.cursor = Place { position: place.position + 1, ..place };
        self.deliver(place)
    }

    /// Takes the new frame right behind `taken`, if it ends before the offset `end_max`.
    pub(super) fn take_behind(&mut self, taken: Taken, end_max: usize) -> Option<Taken> {
        let place = Place { position: taken.place.position + 1, ..taken.place };
        let head = self.entry(place)?.head;
        if self.cursor != place || head.end() as usize > end_max {
            return None;
        }
        self.cursor = Place { position: place.position + 1, ..place };
        self.deliver(place)
    }

    /// When a frame that was handed back is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.returned.peek().map(|Reverse((due, _))| *due)
    }

    fn next_new(&self) -> Option<Place> {
        self.segments.range(self.cursor.segment..).find_map(|(&segment, entries)| {
            let position = if segment == self.cursor.segment { self.cursor.position } else { 0 };
            (position < entries.entries.len()).then_some(Place { segment, position })
        })
    }

    fn entry(&mut self, place: Place) -> Option<&mut Entry> {
        self.segments.get_mut(&place.segment)?.entries.get_mut(place.position)
    }

    fn deliver(&mut self, place: Place) -> Option<Taken> {
        let entry = self.entry(place)?;
        entry.deliveries = entry.deliveries.saturating_add(1);
        Some(Taken { place, head: entry.head, count: u64::from(entry.deliveries) })
    }

    /// Hands a taken frame back until `due`.
    pub(super) fn hand_back(&mut self, place: Place, due: Instant) {
        self.returned.push(Reverse((due, place)));
    }

    /// Hands back a frame that was taken ahead and never delivered.
    pub(super) fn untake(&mut self, place: Place, now: Instant) {
        if let Some(entry) = self.entry(place) {
            entry.deliveries = entry.deliveries.saturating_sub(1);
            self.hand_back(place, now);
        }
    }

    /// Forgets a taken frame. `None` when it was acked before.
    pub(super) fn ack(&mut self, place: Place) -> Option<RecordHead> {
        let entries = self.segments.get_mut(&place.segment)?;
        let entry = entries.entries.get_mut(place.position).filter(|entry| !entry.acked)?;
        entry.acked = true;
        let head = entry.head;
        entries.unacked -= 1;
        while entries.entries.get(entries.first_unacked).is_some_and(|entry| entry.acked) {
            entries.first_unacked += 1;
        }
        self.frames -= 1;
        self.activities -= u64::from(head.activities);
        self.bytes -= u64::from(head.length);
        Some(head)
    }

    /// Drops every segment whose frames are all acked and that is not `active`; returns them.
    pub(super) fn drop_finished(&mut self, active: Option<u64>) -> Vec<u64> {
        let finished: Vec<u64> = self
            .segments
            .iter()
            .filter(|(segment, entries)| entries.unacked == 0 && active != Some(**segment))
            .map(|(segment, _)| *segment)
            .collect();
        for segment in &finished {
            self.segments.remove(segment);
        }
        finished
    }

    pub(super) fn backlog(&self) -> Backlog {
        let oldest = self.segments.values().find_map(|entries| entries.entries.get(entries.first_unacked));
        Backlog {
            frames: self.frames,
            activities: Some(self.activities),
            bytes: self.bytes,
            oldest: oldest.and_then(|entry| DateTime::from_timestamp_micros(entry.head.published_micros)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn head(offset: u32) -> RecordHead {
        RecordHead { offset, length: 10, activities: 2, ack_check: 0, published_micros: offset.into() }
    }

    #[test]
    fn new_frames_come_in_order_and_returned_ones_when_due() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut index = Index::default();
        for (segment, offset) in [(4, 0), (4, 50), (6, 0)] {
            index.insert(segment, head(offset));
        }
        let first = index.take(now).expect("a frame");
        index.hand_back(first.place, later);
        assert_eq!(index.next_due(), Some(later));
        assert_eq!(index.take(now).expect("a frame").head.offset, 50);
        assert_eq!(index.take(now).expect("a frame").place.segment, 6);
        assert_eq!(index.take(now), None);
        let again = index.take(later).expect("the first again");
        assert_eq!((again.place, again.count), (first.place, 2));
        index.untake(again.place, later);
        assert_eq!(index.take(later).expect("the first again").count, 2);
    }

    #[test]
    fn a_segment_is_finished_when_all_is_acked_and_it_has_stopped_growing() {
        let now = Instant::now();
        let mut index = Index::default();
        let places = [index.insert(1, head(0)), index.insert(1, head(50)), index.insert(2, head(0))];
        for _ in places {
            index.take(now);
        }
        assert_eq!(index.backlog().frames, 3);
        assert_eq!(index.backlog().activities, Some(6));
        index.ack(places[1]);
        assert!(index.drop_finished(Some(2)).is_empty());
        assert_eq!(index.backlog().oldest, DateTime::from_timestamp_micros(0));
        assert!(index.ack(places[0]).is_some());
        assert!(index.ack(places[0]).is_none());
        index.ack(places[2]);
        assert_eq!(index.drop_finished(Some(2)), [1]);
        assert_eq!(index.drop_finished(None), [2]);
        assert_eq!(index.backlog(), Backlog { activities: Some(0), ..Backlog::default() });
    }
}
