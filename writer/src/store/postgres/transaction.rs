//! The statements of one batch, inside one explicit transaction.
//!
//! An autocommit COPY could outlive its writer and commit after its death.
//! Every insert is sorted, so that two writers never deadlock.

use std::borrow::Cow;

use shared::failpoint::{self, Place};
use shared::store::{Batch, DeadLetter, InfosVersion, SessionInfo, StoreReport};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::approach::Approach;
use super::connect::Session;
use super::copy::{COLUMNS, encode};
use super::error::Failure;
use super::locks::BEGIN_STORE;
use super::nagle::Filling;
use super::suppression;

const SESSION_INFOS: &str = "\
INSERT INTO session_info (session_id, user_agent, first_seen)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
ON CONFLICT DO NOTHING";
const DEAD_LETTERS: &str = "\
INSERT INTO dead_letter (bytes, reason, sqlstate, frame_id, position, first_seen)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::timestamptz[])
    AS letter (bytes, reason, sqlstate, frame_id, position, first_seen)
ORDER BY frame_id, position, sha256(bytes)
ON CONFLICT DO NOTHING";
const ACCOUNTING: &str = "\
INSERT INTO accounting AS total (writer_id, delivered, stored, duplicate, dead, suppressed, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, now())
ON CONFLICT (writer_id) DO UPDATE SET
    delivered = total.delivered + excluded.delivered, stored = total.stored + excluded.stored,
    duplicate = total.duplicate + excluded.duplicate, dead = total.dead + excluded.dead,
    suppressed = total.suppressed + excluded.suppressed, updated_at = excluded.updated_at";

/// Each piece is one write to the socket.
const PIECE_BYTES: usize = 256 * 1024;

/// `encoded` holds the batch's activities.
pub(super) async fn store(
    session: &mut Session,
    batch: &Batch,
    encoded: &[u8],
    approach: Approach,
    writer_id: &str,
) -> Result<StoreReport, Failure> {
    let Session { connection, filling, suppressions } = session;
    let (version, infos) = begin(connection).await?;
    if suppressions.version() != version {
        *suppressions = suppression::read(connection, version).await?;
    }
    let screened = suppressions.screen(batch, infos);
    let encoded = match &screened.activities {
        Cow::Borrowed(_) => Cow::Borrowed(encoded),
        Cow::Owned(activities) => {
            let mut bytes = Vec::new();
            encode(activities, &mut bytes);
            Cow::Owned(bytes)
        }
    };
    let stored = match approach {
        _ if screened.activities.is_empty() => 0,
        Approach::Copy => copy(connection, "activity", &encoded, *filling).await?,
        Approach::Merge => merge(connection, &encoded, *filling).await?,
    };
    insert_session_infos(connection, &screened.session_infos).await?;
    insert_dead_letters(connection, &screened.dead_letters).await?;
    let report = screened.report(stored);
    account(connection, writer_id, batch.delivered, &report).await?;
    failpoint::reach(Place::BeforeCommit);
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(report)
}

/// The versions of the suppressions and of the session infos.
async fn begin(connection: &mut PgConnection) -> Result<(i64, InfosVersion), Failure> {
    let rows = sqlx::raw_sql(BEGIN_STORE).fetch_all(connection).await?;
    let versions = rows.last().ok_or(sqlx::Error::RowNotFound)?;
    Ok((versions.try_get(0)?, InfosVersion(versions.try_get(1)?)))
}

async fn copy(
    connection: &mut PgConnection,
    table: &str,
    encoded: &[u8],
    filling: Filling,
) -> Result<u64, Failure> {
    let statement = format!("COPY {table} ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let mut stream = connection.copy_in_raw(&statement).await.map_err(Failure::in_copy)?;
    for piece in encoded.chunks(PIECE_BYTES) {
        stream.send(piece).await.map_err(Failure::in_copy)?;
    }
    failpoint::reach(Place::MidCopy);
    filling.put_before_end(&mut stream).await.map_err(Failure::in_copy)?;
    stream.finish().await.map_err(Failure::in_copy)
}

/// Leaves out what is there; `stage` keeps the order of the rows.
async fn merge(connection: &mut PgConnection, encoded: &[u8], filling: Filling) -> Result<u64, Failure> {
    copy(connection, "pg_temp.stage", encoded, filling).await?;
    let statement = format!(
        "INSERT INTO activity ({COLUMNS}) SELECT {COLUMNS} FROM pg_temp.stage ON CONFLICT DO NOTHING"
    );
    Ok(sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?.rows_affected())
}

async fn insert_session_infos(connection: &mut PgConnection, infos: &[SessionInfo]) -> Result<(), Failure> {
    if infos.is_empty() {
        return Ok(());
    }
    let session_ids: Vec<&str> = infos.iter().map(|info| info.session_id.as_str()).collect();
    let user_agents: Vec<&str> = infos.iter().map(|info| info.user_agent.as_str()).collect();
    let first_seen: Vec<_> = infos.iter().map(|info| info.first_seen).collect();
    let query = sqlx::query(SESSION_INFOS).bind(session_ids).bind(user_agents).bind(first_seen);
    query.execute(connection).await?;
    Ok(())
}

async fn insert_dead_letters(connection: &mut PgConnection, letters: &[DeadLetter]) -> Result<(), Failure> {
    if letters.is_empty() {
        return Ok(());
    }
    let bytes: Vec<&[u8]> = letters.iter().map(|letter| &*letter.bytes).collect();
    let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    let codes: Vec<_> = letters.iter().map(|letter| letter.sqlstate.as_deref()).collect();
    let frames: Vec<_> = letters.iter().map(|letter| letter.origin.frame_id.map(|id| id.0)).collect();
    let positions: Vec<_> = letters.iter().map(|letter| i64::from(letter.origin.index)).collect();
    let first_seen: Vec<_> = letters.iter().map(|letter| letter.first_seen).collect();
    let query = sqlx::query(DEAD_LETTERS).bind(bytes).bind(reasons).bind(codes);
    query.bind(frames).bind(positions).bind(first_seen).execute(connection).await?;
    Ok(())
}

async fn account(
    connection: &mut PgConnection,
    writer_id: &str,
    delivered: u64,
    report: &StoreReport,
) -> Result<(), Failure> {
    let StoreReport { stored, duplicate, dead, suppressed, .. } = *report;
    let query = [delivered, stored, duplicate, dead, suppressed]
        .into_iter()
        .fold(sqlx::query(ACCOUNTING).bind(writer_id), |query, count| query.bind(count.cast_signed()));
    query.execute(connection).await?;
    Ok(())
}
