//! Reads the suppressions of a SQLite file.

use sqlx::SqliteConnection;

use super::error::Failure;
use crate::export::sqlite_instant;
use crate::suppression::{Suppression, Suppressions};

const SALT: &str = "SELECT salt FROM keeping";
const ENTRIES: &str = "SELECT kind, mode, digest, received_until FROM suppression";

/// All of them, as of `version`.
pub(super) async fn read(connection: &mut SqliteConnection, version: i64) -> Result<Suppressions, Failure> {
    let salt = salt(connection).await?;
    let rows: Vec<(String, String, Vec<u8>, String)> = sqlx::query_as(ENTRIES).fetch_all(connection).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for (kind, mode, digest, until) in rows {
        let until = sqlite_instant("suppression.received_until", &until)
            .map_err(|error| Failure::Corrupt(error.to_string()))?;
        entries.extend(Suppression::from_row(&kind, &mode, &digest, until));
    }
    Ok(Suppressions::new(version, &salt, entries))
}

pub(super) async fn salt(connection: &mut SqliteConnection) -> Result<Vec<u8>, Failure> {
    Ok(sqlx::query_scalar(SALT).fetch_one(connection).await?)
}
