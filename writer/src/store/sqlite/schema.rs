//! The schema and its version, kept in the file's `user_version`.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::error::Failure;

/// In order; never changed once released.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../../migrations/sqlite/0002_letter_ids.sql"),
    include_str!("../../../migrations/sqlite/0003_keeping.sql"),
];

/// Every column that the writer uses.
const VERIFY: &str = "\
SELECT id, date, received_at, session_id, user_id, ip_address, path, referer FROM activity WHERE false;
SELECT session_id, user_agent, first_seen FROM session_info WHERE false;
SELECT id, bytes, reason, sqlstate, frame_id, position, first_seen FROM dead_letter WHERE false;
SELECT writer_id, delivered, stored, duplicate, dead, suppressed, updated_at FROM accounting WHERE false;
SELECT id, salt, suppression_version, info_version, pruned_before, pruned_at FROM keeping WHERE false;
SELECT kind, mode, digest, received_until FROM suppression WHERE false";

/// Brings the schema up to date; the write lock keeps two processes apart.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Failure> {
    let known = MIGRATIONS.len() as i64;
    match version(connection).await? {
        found if found == known => return Ok(()),
        found if found > known => return Err(Failure::NewerSchema { found, known }),
        _ => {}
    }
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    // Another process may have migrated while this one waited for the lock.
    let found = version(connection).await?;
    for (migration, next) in MIGRATIONS.iter().zip(1_i64..).skip_while(|(_, next)| *next <= found) {
        sqlx::raw_sql(*migration).execute(&mut *connection).await?;
        let mark = format!("PRAGMA user_version = {next}");
        sqlx::raw_sql(AssertSqlSafe(mark)).execute(&mut *connection).await?;
    }
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

/// For what needs this schema and is no writer, which alone brings it up to date.
pub(super) async fn require(connection: &mut SqliteConnection) -> Result<(), Failure> {
    let known = MIGRATIONS.len() as i64;
    match version(connection).await? {
        found if found < known => Err(Failure::OlderSchema { found, known }),
        found if found > known => Err(Failure::NewerSchema { found, known }),
        _ => Ok(()),
    }
}

/// Fails where somebody has changed a table under the writer.
pub(super) async fn verify(connection: &mut SqliteConnection) -> Result<(), Failure> {
    sqlx::raw_sql(VERIFY).execute(connection).await?;
    Ok(())
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await?)
}
