//! What every store does about the erased: the rows that are there and those that still come.

use chrono::{DateTime, TimeDelta, Utc};
use shared::event::{Activity, EventDate, SessionId, UserId};
use shared::frame::{Compression, EncodedActivity, FrameBuilder, FrameId};
use shared::store::{Batch, DeadLetter, InfosVersion, Store, StoreReport};

use super::sample::{self, activity, batch, instant, session, with_infos};
use super::{StoreFixture, info, letter, opened, report, store_at_last};
use crate::subject::Subject;
use crate::suppression::ErasureMode;

/// Received then, by this user under this session.
fn of_user(number: u32, user: &str, session_id: &SessionId, received_at: DateTime<Utc>) -> Activity {
    Activity {
        user_id: UserId::new(user).ok(),
        session_id: Some(session_id.clone()),
        received_at: EventDate::new(received_at).expect("a date"),
        ..activity(number)
    }
}

fn user(id: &str) -> Subject {
    Subject::User(UserId::new(id).expect("a user id"))
}

fn dead(activity: Activity, index: u32) -> DeadLetter {
    let mut builder = FrameBuilder::new(shared::frame::FRAME_BYTES_MAX);
    builder.push(&EncodedActivity::from(&activity));
    let frame = builder.finish(FrameId::generate(), Compression::None);
    let decoded = shared::frame::decode(frame.bytes).expect("our own frame");
    letter(&decoded.activities[0].raw.to_bytes(), Some(sample::frame_id(1)), index)
}

pub async fn an_erased_user_leaves_neither_rows_nor_letters_nor_infos(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let [alone, shared] = [session(1001), session(1002)];
    let theirs = [of_user(1, "anna", &alone, instant(1)), of_user(2, "anna", &shared, instant(2))];
    let others = [of_user(3, "bert", &shared, instant(3)), sample::bare(4)];
    let mut rows = with_infos(batch(theirs.iter().chain(&others).cloned()));
    rows.dead_letters =
        vec![dead(theirs[0].clone(), 0), dead(others[0].clone(), 1), letter(b"DJF?", None, 0)];
    rows.delivered += 3;
    assert_eq!(store_at_last(&mut store, &rows).await, report(4, 0, 3));
    for _ in 0..2 {
        fixture.erase(&user("anna"), ErasureMode::Erase).await;
        let left = fixture.rows().await;
        assert_eq!(left.paths(), ["page/3", "page/4"]);
        assert_eq!(left.dead_letters.len(), 2, "{:?}", left.dead_letters);
        let sessions: Vec<_> = left.session_infos.iter().map(|info| &info.session_id).collect();
        assert_eq!(sessions, [&shared]);
        left.totals();
    }
    // An address is everybody's.
    let address = others[0].ip_address.expect("an address");
    fixture.erase(&Subject::Ip(address), ErasureMode::Erase).await;
    assert_eq!(fixture.rows().await.paths(), ["page/4"]);
}

pub async fn what_is_still_queued_of_the_erased_is_suppressed(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let session_id = session(1001);
    // A connection that has stored already reads what has changed.
    store_at_last(&mut store, &batch([activity(0)])).await;
    let until = fixture.erase(&user("anna"), ErasureMode::Erase).await;
    let queued = of_user(1, "anna", &session_id, until);
    let others = of_user(2, "bert", &session(1002), until);
    let returned = of_user(3, "anna", &session_id, until + TimeDelta::microseconds(1));
    let mut rows = with_infos(batch([queued.clone(), others, returned.clone()]));
    rows.dead_letters = vec![dead(queued.clone(), 0), dead(returned, 1)];
    rows.delivered += 3;
    let expected = StoreReport { stored: 2, duplicate: 1, dead: 1, suppressed: 2, ..StoreReport::default() };
    assert_eq!(store_at_last(&mut store, &rows).await, expected, "one double, two suppressed");
    let left = fixture.rows().await;
    assert_eq!(left.paths(), ["page/0", "page/2", "page/3"]);
    assert_eq!((left.session_infos.len(), left.dead_letters.len()), (2, 1));
    assert_eq!(left.totals().suppressed, 2);
    // Nothing else is in the batch; another connection.
    let mut another = fixture.open("another").await;
    let alone = with_infos(batch([queued]));
    let expected = StoreReport { suppressed: 1, ..StoreReport::default() };
    assert_eq!(store_at_last(&mut another, &alone).await, expected);
    assert_eq!(fixture.rows().await.session_infos.len(), 2);
}

pub async fn the_anonymised_keep_their_rows_and_nothing_else(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let session_id = session(1001);
    let stored = of_user(1, "anna", &session_id, instant(1));
    let mut rows = with_infos(batch([stored.clone(), activity(5)]));
    rows.dead_letters = vec![dead(stored.clone(), 0)];
    rows.delivered += 1;
    store_at_last(&mut store, &rows).await;
    let until = fixture.erase(&Subject::Session(session_id.clone()), ErasureMode::Anonymise).await;
    let queued = of_user(2, "anna", &session_id, until);
    assert_eq!(store_at_last(&mut store, &with_infos(batch([queued.clone()]))).await, report(1, 0, 0));
    let left = fixture.rows().await;
    let anonymous = |row: Activity| Activity { user_id: None, session_id: None, ip_address: None, ..row };
    let expected = [stored, queued].map(|row| anonymous(sample::without_agent(row)));
    assert_eq!(left.activities[..2], expected);
    assert_eq!((left.session_infos.len(), left.dead_letters.len()), (1, 0));
    assert!(left.activities[2].session_id.is_some(), "somebody else's");
}

/// A writer leaves out what it knows to be stored, until the store has removed some.
pub async fn an_info_that_was_removed_is_stored_again(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let session_id = session(1001);
    let first = Batch {
        infos_known: Some(InfosVersion(0)),
        ..with_infos(batch([of_user(1, "anna", &session_id, instant(1))]))
    };
    let known = store.store(&first).await.expect("stored").infos_version;
    let next = |number, received_at| Batch {
        infos_known: Some(known),
        ..batch([of_user(number, "anna", &session_id, received_at)])
    };
    let report = store.store(&next(2, instant(2))).await.expect("stored");
    assert_eq!(report.infos_version, known);
    let until = fixture.erase(&user("anna"), ErasureMode::Erase).await;
    assert!(fixture.rows().await.session_infos.is_empty());
    let returned = next(3, until + TimeDelta::seconds(1));
    let report = store.store(&returned).await.expect("stored");
    assert!(report.infos_version > known, "{report:?}");
    let left = fixture.rows().await;
    let expected = info(&session_id, "agent 0", 0);
    assert_eq!(left.session_infos.len(), 1);
    assert_eq!(left.session_infos[0].user_agent, expected.user_agent);
}
