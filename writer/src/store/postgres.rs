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
mod error;
mod month;
mod nagle;
mod partitions;
mod schema;
mod status;
mod transaction;

/// Longer than the server's `lock_timeout`, so that a lock is named as such.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

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
#[error("--database is not a PostgreSQL URL (postgres://user:password@host:5432/database): {0}")]
pub struct InvalidUrl(String);

#[derive(Debug)]
pub struct PostgresStore {
    options: PgConnectOptions,
    writer_id: String,
    attempt_timeout: Duration,
    session: Option<Session>,
    approaches: Approaches,
}

impl PostgresStore {
    /// No I/O: the first use connects.
    pub fn new(config: PostgresConfig) -> Result<Self, InvalidUrl> {
        let PostgresConfig { url, writer_id, attempt_timeout } = config;
        let options = parse(&url)?;
        Ok(Self { options, writer_id, attempt_timeout, session: None, approaches: Approaches::default() })
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
        let encoded = copy::encode(&batch.activities);
        let approach = self.approaches.next(batch.redelivered);
        let result = match self.attempt(batch, &encoded, approach).await {
            Err(failure) if failure.class() == Class::Duplicate => {
                self.approaches.met_duplicate();
                self.attempt(batch, &encoded, Approach::Merge).await
            }
            result => result,
        };
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

/// Totals and dead letters, on a connection of its own.
///
/// # Errors
/// The database cannot be reached or has no such tables.
pub async fn status(config: &PostgresConfig) -> Result<StoreStatus, StoreError> {
    let options = parse(&config.url).map_err(|error| StoreError {
        kind: StoreErrorKind::Schema,
        sqlstate: None,
        reason: error.to_string(),
    })?;
    let status = within(config.attempt_timeout, async {
        let mut connection = connect::connect(&options).await?;
        status::read(&mut connection).await
    });
    Ok(status.await?)
}

fn parse(url: &Secret) -> Result<PgConnectOptions, InvalidUrl> {
    connect::options(url.expose()).map_err(|error| InvalidUrl(error.to_string()))
}
