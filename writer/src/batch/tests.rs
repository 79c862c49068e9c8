use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use shared::event::{Activity, EventId};
use shared::frame::{FrameId, RawEntry};
use shared::store::Origin;
use uuid::Uuid;

use super::*;
use crate::store::contract::{activity, session};

const LIMITS: BatchLimits =
    BatchLimits { rows_max: 100, bytes_max: 4096, age_max: Duration::from_millis(200) };

fn row(activity: Activity, raw: &'static [u8]) -> StoredActivity {
    let frame_id = Some(FrameId(Uuid::from_u128(1)));
    let raw = RawEntry::from(Bytes::from_static(raw));
    StoredActivity { activity, raw, origin: Origin { frame_id, index: 0 } }
}

fn arrival(ticket: u32, numbers: impl IntoIterator<Item = u32>) -> Arrival<u32> {
    let activities = numbers.into_iter().map(|number| row(activity(number), b"raw")).collect();
    Arrival { ticket, deliveries: 1, activities, dead_letters: Vec::new() }
}

fn letter() -> DeadLetter {
    DeadLetter {
        bytes: Bytes::from_static(b"DJF"),
        reason: "corrupt".to_owned(),
        sqlstate: None,
        origin: Origin { frame_id: None, index: 0 },
        first_seen: DateTime::UNIX_EPOCH,
    }
}

fn known() -> KnownSessions {
    KnownSessions::new(1000)
}

fn now() -> Instant {
    Instant::now()
}

#[test]
fn it_is_due_when_its_first_frame_has_waited() {
    let start = now();
    let mut gathering = Gathering::new(LIMITS);
    assert_eq!(gathering.due(), None);
    gathering.offer(arrival(1, 0..3), start).expect("room");
    gathering.offer(arrival(2, 3..6), start + Duration::from_millis(150)).expect("room");
    assert_eq!(gathering.due(), Some(start + LIMITS.age_max));
    let work = gathering.close(&mut known());
    assert_eq!((work.tickets, work.batch.delivered), (vec![1, 2], 6));
    assert_eq!(gathering.due(), None);
}

#[test]
fn it_is_due_at_once_when_full() {
    let start = now();
    let mut gathering = Gathering::new(LIMITS);
    gathering.offer(arrival(1, 0..100), start).expect("room");
    assert_eq!(gathering.due(), Some(start));
}

#[test]
fn a_frame_that_does_not_fit_belongs_to_the_next() {
    let start = now();
    let mut gathering = Gathering::new(LIMITS);
    gathering.offer(arrival(1, 0..60), start).expect("room");
    let refused = gathering.offer(arrival(2, 60..120), start).expect_err("101 rows are too many");
    assert_eq!((refused.ticket, gathering.due()), (2, Some(start)));
    assert_eq!(gathering.close(&mut known()).tickets, [1]);
    gathering.offer(refused, start).expect("room");
    assert_eq!(gathering.due(), Some(start + LIMITS.age_max));
}

#[test]
fn bytes_close_it_too() {
    let start = now();
    let mut gathering = Gathering::new(LIMITS);
    let large = Arrival { activities: vec![row(activity(1), &[b'x'; 5000])], ..arrival(1, []) };
    gathering.offer(large, start).expect("an empty batch takes any frame");
    assert_eq!(gathering.due(), Some(start));
    gathering.offer(arrival(2, [2]), start).expect_err("full");
}

#[test]
fn a_frame_delivered_too_often_is_alone() {
    let start = now();
    let suspect = |ticket| Arrival { deliveries: 6, ..arrival(ticket, [1]) };
    let mut gathering = Gathering::new(LIMITS);
    gathering.offer(arrival(1, [0]), start).expect("room");
    gathering.offer(suspect(2), start).expect_err("never with others");
    gathering.close(&mut known());
    gathering.offer(suspect(2), start).expect("room");
    assert_eq!(gathering.due(), Some(start));
    gathering.offer(arrival(3, [2]), start).expect_err("never with others");
    assert_eq!(gathering.close(&mut known()).tickets, [2]);
    gathering.offer(arrival(3, [2]), start).expect("room");
}

#[test]
fn redelivered_frames_flag_their_batch_only() {
    let mut gathering = Gathering::new(LIMITS);
    gathering.offer(Arrival { deliveries: 2, ..arrival(1, [1]) }, now()).expect("room");
    gathering.offer(arrival(2, [2]), now()).expect("room");
    assert_eq!(gathering.close(&mut known()).batch.redelivered, Redelivered::Yes);
    gathering.offer(arrival(3, [3]), now()).expect("room");
    assert_eq!(gathering.close(&mut known()).batch.redelivered, Redelivered::No);
}

#[test]
fn of_two_activities_with_one_key_the_first_delivered_wins() {
    let mut second = activity(1);
    second.path = activity(2).path;
    let mut gathering = Gathering::new(LIMITS);
    gathering.offer(arrival(1, [1]), now()).expect("room");
    let double = Arrival { activities: vec![row(second, b"raw")], ..arrival(2, []) };
    gathering.offer(double, now()).expect("room");
    let batch = gathering.close(&mut known()).batch;
    assert_eq!((batch.activities.len(), batch.delivered), (1, 2));
    assert_eq!(batch.activities[0].activity.path.as_str(), "page/1");
}

#[test]
fn an_info_is_sent_until_it_is_known_to_be_committed() {
    let mut known = known();
    let mut gathering = Gathering::new(LIMITS);
    let mut infos = |numbers: std::ops::Range<u32>, known: &mut KnownSessions| {
        gathering.offer(arrival(1, numbers), now()).expect("room");
        gathering.close(known).batch.session_infos
    };
    let first = infos(0..20, &mut known);
    let sessions: Vec<_> = first.iter().map(|info| info.session_id.clone()).collect();
    assert_eq!(sessions, [session(0), session(1)]);
    assert_eq!(first[1].first_seen, activity(10).received_at.instant());
    assert_eq!(first[1].user_agent, activity(10).user_agent);
    assert_eq!(infos(0..20, &mut known), first, "not committed yet");
    known.learn(&first, known.version());
    assert!(infos(0..20, &mut known).is_empty());
    assert_eq!(infos(15..25, &mut known).len(), 1);
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival<u32>>> {
    let numbers = proptest::collection::vec(0..200_u32, 0..120);
    let letters = prop_oneof![4 => Just(0_usize), 1 => 1..3_usize];
    let deliveries = prop_oneof![4 => Just(1_u64), 1 => 2..8_u64];
    let one = (numbers, letters, deliveries).prop_map(|(numbers, letters, deliveries)| Arrival {
        deliveries,
        dead_letters: vec![letter(); letters],
        ..arrival(0, numbers)
    });
    proptest::collection::vec(one, 0..20).prop_map(|mut arrivals| {
        (0..).zip(&mut arrivals).for_each(|(ticket, arrival)| arrival.ticket = ticket);
        arrivals
    })
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(arrivals in arrivals()) {
        let expected: BTreeMap<u32, (Vec<EventId>, usize)> = arrivals
            .iter()
            .map(|arrival| {
                let ids = arrival.activities.iter().map(|row| row.activity.id).collect();
                (arrival.ticket, (ids, arrival.dead_letters.len()))
            })
            .collect();
        let mut known = known();
        let mut gathering = Gathering::new(LIMITS);
        let mut works = Vec::new();
        for arrival in arrivals {
            if let Err(refused) = gathering.offer(arrival, now()) {
                works.push(gathering.close(&mut known));
                prop_assert!(gathering.offer(refused, now()).is_ok(), "an empty batch takes any frame");
            }
        }
        works.push(gathering.close(&mut known));

        let tickets: Vec<u32> = works.iter().flat_map(|work| work.tickets.iter().copied()).collect();
        prop_assert_eq!(tickets, expected.keys().copied().collect::<Vec<_>>());
        for Work { batch, tickets } in works {
            let frames: Vec<_> = tickets.iter().map(|ticket| &expected[ticket]).collect();
            let ids: BTreeSet<EventId> = frames.iter().flat_map(|frame| frame.0.iter().copied()).collect();
            let stored: BTreeSet<EventId> = batch.activities.iter().map(|row| row.activity.id).collect();
            prop_assert_eq!(&stored, &ids);
            prop_assert!(batch.activities.is_sorted_by(|one, other| key(one) < key(other)));
            prop_assert!(batch.session_infos.is_sorted_by(|one, other| one.session_id < other.session_id));
            let letters: usize = frames.iter().map(|frame| frame.1).sum();
            let activities: usize = frames.iter().map(|frame| frame.0.len()).sum();
            prop_assert_eq!(batch.dead_letters.len(), letters);
            prop_assert_eq!(batch.delivered, (activities + letters) as u64);
            let rows = activities + letters;
            prop_assert!(rows <= LIMITS.rows_max || tickets.len() == 1, "{} rows of {} frames", rows, tickets.len());
            let sessions: BTreeSet<_> = batch.activities.iter().filter_map(|row| row.activity.session_id.clone()).collect();
            prop_assert_eq!(batch.session_infos.len(), sessions.len());
        }
    }
}
