//! Rows in PostgreSQL 14 or later: optimistic COPY, and a merge when it meets a duplicate.
//!
//! Rule of safety: a connection is taken out for the time of its use and put
//! back only when its state is known, after COMMIT or an answered ROLLBACK; one
//! that missed a deadline or failed in any other way is dropped. Held by
//! `tests/store_contract.rs`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::secret::Secret;
use shared::store::{Batch, Store, StoreError, StoreErrorKind, StoreReport};
use sqlx::postgres::PgConnectOptions;

use self::approach::{Approach, Approaches};
use self::connect::Session;
use self::error::{Class, Failure, within};
use super::status::StoreStatus;

mod approach;
mod connect;
mod copy;
mod erase;
mod error;
mod infos;
mod locks;
mod nagle;
mod old_months;
mod partitions;
mod prune;
mod schema;
mod status;
mod suppression;
mod transaction;

pub use erase::erase;
pub use old_months::MadeMonths;
pub use prune::{is_due, prune};

/// Longer than the server's `lock_timeout`, so that a lock is named as such.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// A load of old rows makes one month after the other; whatever is refused more often lacks a partition.
const MONTHS_MADE_MEANWHILE_MAX: usize = 5;

#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// `postgres://...`
    pub url: Secret,
    /// Names the row of `accounting`. Connections of one id wait for each
    /// other's COMMIT, so each connection should have its own.
    pub writer_id: String,
    /// For connecting, for a transaction from BEGIN to COMMIT and for each
    /// statement of the maintenance; usually [`ATTEMPT_TIMEOUT`].
    pub attempt_timeout: Duration,
}

/// The sentence names no part of the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUrl {
    #[error("--database is not a PostgreSQL URL (postgres://user:password@host:5432/database): {0}")]
    Form(String),
    /// A file that the URL names is not what it should be.
    #[error("--database: {0}")]
    File(String),
}

#[derive(Debug)]
pub struct PostgresStore {
    options: PgConnectOptions,
    writer_id: String,
    attempt_timeout: Duration,
    session: Option<Session>,
    approaches: Approaches,
    /// The memory of the last batch, for the next: asking the kernel for its pages again costs a tenth of a row.
    encoded: Vec<u8>,
}

impl PostgresStore {
    /// No I/O: the first use connects.
    pub fn new(config: PostgresConfig) -> Result<Self, InvalidUrl> {
        let PostgresConfig { url, writer_id, attempt_timeout } = config;
        let options = parse(&url)?;
        let approaches = Approaches::default();
        Ok(Self { options, writer_id, attempt_timeout, session: None, approaches, encoded: Vec::new() })
    }

    async fn session(&mut self) -> Result<Session, Failure> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => within(self.attempt_timeout, connect::session(&self.options)).await,
        }
    }

    async fn attempt(
        &mut self,
        batch: &Batch,
        encoded: &[u8],
        approach: Approach,
    ) -> Result<StoreReport, Failure> {
        let mut session = self.session().await?;
        let transaction = transaction::store(&mut session, batch, encoded, approach, &self.writer_id);
        let result = within(self.attempt_timeout, transaction).await;
        match &result {
            Ok(_) => self.session = Some(session),
            Err(failure) if leaves_connection_usable(failure) => self.roll_back(session).await,
            Err(_) => {}
        }
        result
    }

    /// The same, again where months were made meanwhile.
    async fn attempt_in_months(
        &mut self,
        batch: &Batch,
        encoded: &[u8],
        approach: Approach,
    ) -> Result<StoreReport, Failure> {
        let mut result = self.attempt(batch, encoded, approach).await;
        for _ in 0..MONTHS_MADE_MEANWHILE_MAX {
            if !result.as_ref().is_err_and(Failure::is_misrouted) {
                break;
            }
            result = self.attempt(batch, encoded, approach).await;
        }
        result
    }

    /// Keeps the connection if the server confirms.
    async fn roll_back(&mut self, mut session: Session) {
        let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut session.connection);
        if within(self.attempt_timeout, rollback).await.is_ok() {
            self.session = Some(session);
        }
    }
}

/// The server has answered the statement and refused it for its rows.
fn leaves_connection_usable(failure: &Failure) -> bool {
    matches!(failure.class(), Class::Duplicate | Class::Kind(StoreErrorKind::Data))
}

impl Store for PostgresStore {
    async fn store(&mut self, batch: &Batch) -> Result<StoreReport, StoreError> {
        // Whole before BEGIN: a writer that stops in the middle of a COPY holds its locks.
        let mut encoded = std::mem::take(&mut self.encoded);
        copy::encode(&batch.activities, &mut encoded);
        let approach = self.approaches.next(batch.redelivered);
        let result = match self.attempt_in_months(batch, &encoded, approach).await {
            Err(failure) if failure.class() == Class::Duplicate => {
                self.approaches.met_duplicate();
                self.attempt_in_months(batch, &encoded, Approach::Merge).await
            }
            result => result,
        };
        self.encoded = encoded;
        Ok(result?)
    }

    async fn maintain(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        let connection = &mut session.connection;
        within(self.attempt_timeout, schema::migrate(connection)).await?;
        within(self.attempt_timeout, schema::verify(connection)).await?;
        partitions::maintain(connection, now, self.attempt_timeout).await?;
        self.session = Some(session);
        Ok(())
    }
}

/// What a batch with these activities sends through COPY, in place of what `bytes` holds; for the benchmarks.
#[cfg(feature = "test-util")]
pub fn copy_stream(activities: &[shared::store::StoredActivity], bytes: &mut Vec<u8>) {
    copy::encode(activities, bytes);
}

/// Totals and dead letters, on a connection of its own.
///
/// # Errors
/// The database cannot be reached or has no such tables.
pub async fn status(config: &PostgresConfig) -> Result<StoreStatus, StoreError> {
    let options = parse_or_refuse(config)?;
    let status = within(config.attempt_timeout, async {
        let mut connection = connect::connect(&options).await?;
        status::read(&mut connection).await
    });
    Ok(status.await?)
}

fn parse_or_refuse(config: &PostgresConfig) -> Result<PgConnectOptions, StoreError> {
    parse(&config.url).map_err(|error| StoreError {
        kind: StoreErrorKind::Schema,
        sqlstate: None,
        reason: error.to_string(),
    })
}

fn parse(url: &Secret) -> Result<PgConnectOptions, InvalidUrl> {
    let options = connect::options(url.expose()).map_err(|error| InvalidUrl::Form(error.to_string()))?;
    connect::route(&options, url.expose()).check().map_err(InvalidUrl::File)?;
    Ok(options)
}

/// One line about a connection that somebody between could read; `None` where nobody is between, and for a URL that
/// [`PostgresStore::new`] refuses.
#[must_use]
pub fn warning(url: &Secret) -> Option<String> {
    let options = connect::options(url.expose()).ok()?;
    connect::route(&options, url.expose()).warning("database")
}
