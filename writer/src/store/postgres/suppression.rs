//! Reads the suppressions of a Postgres database.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::error::Failure;
use crate::suppression::{Suppression, Suppressions};

const SALT: &str = "SELECT salt FROM keeping";
const ENTRIES: &str = "SELECT kind, mode, digest, received_until FROM suppression";

/// All of them, as of `version`.
pub(super) async fn read(connection: &mut PgConnection, version: i64) -> Result<Suppressions, Failure> {
    let salt = salt(connection).await?;
    let entries: Vec<(String, String, Vec<u8>, DateTime<Utc>)> =
        sqlx::query_as(ENTRIES).fetch_all(connection).await?;
    let entries = entries
        .into_iter()
        .filter_map(|(kind, mode, digest, until)| Suppression::from_row(&kind, &mode, &digest, until));
    Ok(Suppressions::new(version, &salt, entries))
}

pub(super) async fn salt(connection: &mut PgConnection) -> Result<Vec<u8>, Failure> {
    Ok(sqlx::query_scalar(SALT).fetch_one(connection).await?)
}
