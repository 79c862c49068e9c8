//! The schema and its version; several writers may start at once.

use sqlx::{Connection, PgConnection};

use super::error::Failure;

/// In order; never changed once released.
const MIGRATIONS: [&str; 2] = [
    include_str!("../../../migrations/postgres/0001_initial.sql"),
    include_str!("../../../migrations/postgres/0002_keeping.sql"),
];

const VERSION_TABLE_EXISTS: &str = "SELECT to_regclass('djaffar_schema') IS NOT NULL";
const VERSION_TABLE: &str = "\
CREATE TABLE IF NOT EXISTS djaffar_schema (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL)";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM djaffar_schema";
const MARK: &str = "INSERT INTO djaffar_schema (version, applied_at) VALUES ($1, now())";
/// "djaffar" and a number, in ASCII: one lock for schema and partitions.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(x'646a616666617201'::bigint)";

/// Every column that the writer uses.
const VERIFY: &str = "\
SELECT id, date, received_at, session_id, user_id, ip_address, path, referer FROM activity WHERE false;
SELECT session_id, user_agent, first_seen FROM session_info WHERE false;
SELECT id, bytes, reason, sqlstate, frame_id, position, first_seen FROM dead_letter WHERE false;
SELECT writer_id, delivered, stored, duplicate, dead, suppressed, updated_at FROM accounting WHERE false;
SELECT id, salt, suppression_version, info_version, pruned_before, pruned_at FROM keeping WHERE false;
SELECT kind, mode, digest, received_until FROM suppression WHERE false";

/// Brings the schema up to date.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), Failure> {
    let known = MIGRATIONS.len() as i64;
    let exists: bool = sqlx::query_scalar(VERSION_TABLE_EXISTS).fetch_one(&mut *connection).await?;
    let found = if exists { version(connection).await? } else { 0 };
    if found > known {
        return Err(Failure::NewerSchema { found, known });
    }
    if found == known {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(LOCK).execute(&mut *transaction).await?;
    // Another writer may have migrated while this one waited.
    sqlx::raw_sql(VERSION_TABLE).execute(&mut *transaction).await?;
    let found = version(&mut transaction).await?;
    for (migration, next) in MIGRATIONS.iter().zip(1_i64..).skip_while(|(_, next)| *next <= found) {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        sqlx::query(MARK).bind(next).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// For what needs this schema and is no writer, which alone brings it up to date.
pub(super) async fn require(connection: &mut PgConnection) -> Result<(), Failure> {
    let known = MIGRATIONS.len() as i64;
    let exists: bool = sqlx::query_scalar(VERSION_TABLE_EXISTS).fetch_one(&mut *connection).await?;
    let found = if exists { version(connection).await? } else { 0 };
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(Failure::OlderSchema { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Failure::NewerSchema { found, known }),
    }
}

/// Fails where somebody has changed a table under the writer.
pub(super) async fn verify(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::raw_sql(VERIFY).execute(connection).await?;
    Ok(())
}

async fn version(connection: &mut PgConnection) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar(VERSION).fetch_one(connection).await?)
}
