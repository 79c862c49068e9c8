//! Reads and removes dead letters for `djaffar dead-letters`, beside a running writer.
//!
//! Only [`DeadLetters::remove`] writes, in transactions so short that no
//! writer notices. An id is never given to another letter, so what was read is
//! what is removed, whoever else works on them. Held by
//! `tests/store_contract/dead_letters.rs`.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use shared::event::Activity;
use shared::frame::{Decoded, decode_activity};
use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::export::{ExportError, ExportSource};

/// A dead letter without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterHead {
    pub id: i64,
    /// Why it was refused, in a sentence.
    pub reason: String,
    /// The database's own code, where there is one.
    pub sqlstate: Option<String>,
    /// `None`: the frame could not be read, and the letter is the whole of it.
    pub frame_id: Option<Uuid>,
    /// Position in the frame.
    pub index: i64,
    pub first_seen: DateTime<Utc>,
    /// Size of the kept original.
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub head: LetterHead,
    pub bytes: Bytes,
}

/// The activity that a letter was refused for; `None` where nobody can read it: a corrupt frame, or an
/// entry that breaks a rule.
pub(crate) fn refused_activity(has_frame: bool, bytes: Bytes) -> Option<Activity> {
    match has_frame.then(|| decode_activity(bytes).decoded)? {
        Decoded::Activity(activity) => Some(activity),
        Decoded::Invalid(_) => None,
    }
}

/// Which letters; the default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// The reason holds this text.
    pub reason: Option<String>,
    pub sqlstate: Option<String>,
    /// First seen then or later.
    pub since: Option<DateTime<Utc>>,
    /// First seen before.
    pub until: Option<DateTime<Utc>>,
}

/// A connection of its own to the dead letters.
#[derive(Debug)]
pub struct DeadLetters(Connection);

#[derive(Debug)]
enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl DeadLetters {
    /// # Errors
    /// The database is not there or cannot be reached.
    pub async fn open(source: &ExportSource) -> Result<Self, ExportError> {
        Ok(Self(match source {
            ExportSource::Sqlite(path) => Connection::Sqlite(sqlite::open(path).await?),
            ExportSource::Postgres(url) => Connection::Postgres(postgres::open(url).await?),
        }))
    }

    /// The next letters with an id above `after`, by id, at most `count`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &mut self,
        filter: &LetterFilter,
        after: i64,
        count: u32,
    ) -> Result<Vec<LetterHead>, ExportError> {
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlite::page(connection, filter, after, count).await,
            Connection::Postgres(connection) => postgres::page(connection, filter, after, count).await,
        }
    }

    /// The highest id; 0 when there are no letters.
    ///
    /// # Errors
    /// The database fails.
    pub async fn newest(&mut self) -> Result<i64, ExportError> {
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlite::newest(connection).await,
            Connection::Postgres(connection) => postgres::newest(connection).await,
        }
    }

    /// One letter, whole; `None` when there is none with this id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn letter(&mut self, id: i64) -> Result<Option<Letter>, ExportError> {
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlite::letter(connection, id).await,
            Connection::Postgres(connection) => postgres::letter(connection, id).await,
        }
    }

    /// Removes letters and returns how many were still there.
    ///
    /// # Errors
    /// The database fails; some of them may be removed.
    pub async fn remove(&mut self, letters: &[LetterHead]) -> Result<u64, ExportError> {
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlite::remove(connection, letters).await,
            Connection::Postgres(connection) => postgres::remove(connection, letters).await,
        }
    }
}
