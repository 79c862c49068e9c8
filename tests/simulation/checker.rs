//! What must hold after a run, whatever has happened in it.

use std::collections::{BTreeMap, BTreeSet};

use shared::event::{Activity, EventId, SessionId, UserAgent};
use shared::frame::{Decoded, decode_activity};
use shared::store::DeadLetter;
use writer::store::memory::MemoryDatabase;

use crate::clients::{Entry, Journal};

/// # Errors
/// The first promise that is broken.
pub(crate) fn check(journal: &Journal, database: &MemoryDatabase) -> Result<(), String> {
    let entries: BTreeMap<EventId, Entry> =
        journal.entries().into_iter().map(|entry| (entry.activity.id, entry)).collect();
    let rows = database.activities();
    let mut stored: BTreeMap<EventId, u32> = BTreeMap::new();
    for row in &rows {
        let entry = entries.get(&row.id).filter(|entry| entry.sent > 0);
        let entry = entry.ok_or_else(|| format!("{:?} is stored and was never sent", row.id))?;
        let sent = Activity { user_agent: UserAgent::default(), ..entry.activity.clone() };
        if *row != sent {
            return Err(format!("{:?} is stored differently: {row:?} instead of {sent:?}", row.id));
        }
        *stored.entry(row.id).or_default() += 1;
    }
    let letters = letters(&entries, &database.dead_letters())?;
    for (id, entry) in &entries {
        let rows = stored.get(id).copied().unwrap_or_default();
        let letters = letters.get(id).copied().unwrap_or_default();
        check_entry(entry, rows, letters).map_err(|broken| format!("{id:?} {broken}: {entry:?}"))?;
    }
    check_sessions(&entries, &rows, database)?;
    check_accounting(rows.len(), database)
}

fn check_entry(entry: &Entry, rows: u32, letters: u32) -> Result<(), String> {
    let Entry { poison, sent, refused, accepted, .. } = *entry;
    if rows > 1 {
        return Err(format!("is stored {rows} times"));
    }
    if rows > 0 && letters > 0 {
        return Err("is stored and a dead letter".to_owned());
    }
    // Each attempt may have been a frame of its own, and each letter names its frame.
    if letters > sent {
        return Err(format!("is {letters} dead letters after {sent} attempts"));
    }
    if poison && rows > 0 {
        return Err("is poison and stored".to_owned());
    }
    if !poison && letters > 0 {
        return Err("is a dead letter and is no poison".to_owned());
    }
    if accepted && rows + letters == 0 {
        return Err("was answered with 2xx and is lost".to_owned());
    }
    if sent == refused && rows + letters > 0 {
        return Err("was refused each time and is stored".to_owned());
    }
    Ok(())
}

/// How many letters each activity has.
fn letters(
    entries: &BTreeMap<EventId, Entry>,
    letters: &[DeadLetter],
) -> Result<BTreeMap<EventId, u32>, String> {
    let mut origins = BTreeSet::new();
    let mut found: BTreeMap<EventId, u32> = BTreeMap::new();
    for letter in letters {
        if letter.sqlstate.as_deref() != Some("22000") {
            return Err(format!("a dead letter without a data error: {letter:?}"));
        }
        if !origins.insert((letter.origin.frame_id, letter.origin.index)) {
            return Err(format!("a dead letter is there twice: {letter:?}"));
        }
        // Whole, also of an activity that shared its sender with the one before it.
        let Decoded::Activity(activity) = decode_activity(letter.bytes.clone()).decoded else {
            return Err(format!("a dead letter that cannot be read: {letter:?}"));
        };
        let poison =
            entries.get(&activity.id).is_some_and(|entry| entry.poison && entry.activity == activity);
        if !poison {
            return Err(format!("a dead letter of no poison: {letter:?}"));
        }
        *found.entry(activity.id).or_default() += 1;
    }
    Ok(found)
}

/// The user agent of every stored session is there, once.
fn check_sessions(
    entries: &BTreeMap<EventId, Entry>,
    rows: &[Activity],
    database: &MemoryDatabase,
) -> Result<(), String> {
    let agents: BTreeMap<SessionId, UserAgent> =
        database.session_infos().into_iter().map(|info| (info.session_id, info.user_agent)).collect();
    for row in rows {
        let (Some(session), Some(entry)) = (&row.session_id, entries.get(&row.id)) else { continue };
        if agents.get(session) != Some(&entry.activity.user_agent) {
            return Err(format!("the session of {:?} has no info", row.id));
        }
    }
    Ok(())
}

fn check_accounting(rows: usize, database: &MemoryDatabase) -> Result<(), String> {
    let mut stored = 0;
    for (writer, totals) in database.accounting() {
        if !totals.closes() {
            return Err(format!("the accounting of {writer} does not close: {totals:?}"));
        }
        stored += totals.stored;
    }
    if stored != rows as u64 {
        return Err(format!("{stored} rows are accounted for, {rows} are there"));
    }
    Ok(())
}
