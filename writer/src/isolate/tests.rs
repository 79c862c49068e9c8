use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use shared::store::{Origin, Redelivered, StoreErrorKind};

use super::*;
use crate::store::contract::{activity, batch, instant, with_infos};

fn error() -> StoreError {
    StoreError {
        kind: StoreErrorKind::Data,
        sqlstate: Some("22001".to_owned()),
        reason: "too long".to_owned(),
    }
}

fn letter() -> DeadLetter {
    DeadLetter {
        bytes: Bytes::from_static(b"DJF"),
        reason: "corrupt".to_owned(),
        sqlstate: None,
        origin: Origin { frame_id: None, index: 0 },
        first_seen: instant(0),
    }
}

/// A batch with `letters` dead letters and `doubles` dropped doubles.
fn whole(rows: u32, letters: usize, doubles: u64) -> Batch {
    let mut batch = with_infos(batch((0..rows).map(activity)));
    batch.delivered += letters as u64 + doubles;
    batch.dead_letters = vec![letter(); letters];
    batch.redelivered = Redelivered::Yes;
    batch
}

/// Stores everything like a database that refuses these numbers; returns what each transaction held.
fn settle(remainder: &mut Remainder, rows_max: usize, guilty: &BTreeSet<u32>) -> Result<Vec<Batch>, usize> {
    let refused: Vec<_> = guilty.iter().map(|number| activity(*number).id).collect();
    let mut committed = Vec::new();
    while let Some(piece) = remainder.next(rows_max) {
        if piece.activities.iter().any(|row| refused.contains(&row.activity.id)) {
            if remainder.isolate(&error(), instant(0)) == Isolation::SchemaFault {
                return Err(committed.len());
            }
        } else {
            committed.push(piece.clone());
            remainder.committed();
        }
    }
    Ok(committed)
}

#[test]
fn an_ordinary_batch_is_one_transaction() {
    let batch = whole(100, 1, 3);
    let mut remainder = Remainder::new(batch.clone(), 0);
    assert_eq!(remainder.next(100), Some(&batch));
    remainder.committed();
    assert_eq!(remainder.next(100), None);
    assert!(remainder.committed_all().is_some());
}

#[test]
fn nothing_needs_no_transaction() {
    let mut remainder = Remainder::new(Batch::default(), 0);
    assert_eq!(remainder.next(100), None);
    assert!(remainder.committed_all().is_some());
}

#[test]
fn there_is_no_proof_while_something_is_left() {
    let mut remainder = Remainder::new(whole(4, 0, 0), 0);
    assert_eq!(remainder.next(2).map(|piece| piece.activities.len()), Some(2));
    remainder.committed();
    assert!(remainder.committed_all().is_none());
}

#[test]
fn the_dead_letter_goes_with_the_neighbours_that_are_left() {
    let committed =
        settle(&mut Remainder::new(whole(100, 0, 0), 0), 100, &BTreeSet::from([17])).expect("one guilty");
    let last = committed.last().expect("a transaction");
    assert_eq!((last.dead_letters.len(), last.activities.len()), (1, 50));
    assert_eq!(last.dead_letters[0].sqlstate.as_deref(), Some("22001"));
    assert_eq!(&last.dead_letters[0].bytes[..], b"page/17");
    assert!(committed.len() <= 8);
}

#[test]
fn a_batch_of_one_guilty_activity_is_a_dead_letter() {
    let committed =
        settle(&mut Remainder::new(whole(1, 0, 2), 0), 100, &BTreeSet::from([0])).expect("one guilty");
    let [only] = committed.as_slice() else { panic!("{committed:?}") };
    assert_eq!((only.activities.len(), only.session_infos.len(), only.dead_letters.len()), (0, 0, 1));
    assert_eq!(only.delivered, 3);
}

#[test]
fn guilty_activities_of_earlier_batches_count() {
    let one = BTreeSet::from([0]);
    assert!(settle(&mut Remainder::new(whole(1, 0, 0), 9), 100, &one).is_ok());
    assert!(settle(&mut Remainder::new(whole(1, 0, 0), 10), 100, &one).is_err());
}

#[test]
fn dead_letters_that_are_refused_are_no_activity_s_fault() {
    let mut remainder = Remainder::new(whole(0, 2, 0), 0);
    assert!(remainder.next(100).is_some());
    assert_eq!(remainder.isolate(&error(), instant(0)), Isolation::SchemaFault);
    assert_eq!(remainder.next(100).map(|piece| piece.dead_letters.len()), Some(2));
}

proptest! {
    #[test]
    fn whatever_is_guilty_everything_ends_once(
        rows in 1..300_u32,
        letters in 0..3_usize,
        doubles in 0..5_u64,
        rows_max in 1..400_usize,
        guilty in proptest::collection::btree_set(0..300_u32, 0..14),
    ) {
        let guilty: BTreeSet<u32> = guilty.into_iter().filter(|number| *number < rows).collect();
        let batch = whole(rows, letters, doubles);
        let mut remainder = Remainder::new(batch.clone(), 0);
        let outcome = settle(&mut remainder, rows_max, &guilty);
        prop_assert_eq!(outcome.is_err(), guilty.len() > 10);
        match outcome {
            Ok(committed) => {
                prop_assert!(committed.iter().all(|piece| piece.activities.len() <= rows_max));
                let stored: Vec<_> = committed.iter().flat_map(|piece| &piece.activities).map(key).collect();
                let expected: Vec<_> = batch
                    .activities
                    .iter()
                    .filter(|row| !guilty.iter().any(|number| activity(*number).id == row.activity.id))
                    .map(key)
                    .collect();
                prop_assert_eq!(stored, expected);
                let dead: usize = committed.iter().map(|piece| piece.dead_letters.len()).sum();
                prop_assert_eq!(dead, letters + guilty.len());
                let delivered: u64 = committed.iter().map(|piece| piece.delivered).sum();
                prop_assert_eq!(delivered, batch.delivered);
                for piece in &committed {
                    prop_assert!(piece.delivered >= (piece.activities.len() + piece.dead_letters.len()) as u64);
                    // Every session's info is there no later than its first activity.
                    for row in &piece.activities {
                        let session_id = row.activity.session_id.as_ref();
                        prop_assert!(piece.session_infos.iter().any(|info| Some(&info.session_id) == session_id));
                    }
                    prop_assert!(piece.session_infos.is_sorted_by(|one, other| one.session_id < other.session_id));
                }
            }
            // The schema is blamed: once it is mended, the rest is stored as if nothing had been.
            Err(before) => {
                let committed = settle(&mut remainder, usize::MAX, &BTreeSet::new()).expect("nobody is guilty");
                let [rest] = committed.as_slice() else { panic!("{before} and {}", committed.len()) };
                prop_assert_eq!(rest.dead_letters.len(), letters);
                prop_assert!(rest.activities.is_sorted_by(|one, other| key(one) < key(other)));
                prop_assert_eq!(rest.delivered, (rest.activities.len() + letters) as u64 + doubles);
                let acquitted = |number: &u32| rest.activities.iter().any(|row| row.activity.id == activity(*number).id);
                prop_assert!(guilty.iter().all(acquitted));
            }
        }
    }
}
