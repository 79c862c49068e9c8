//! Erases a person from a Postgres database, beside running writers.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use shared::store::StoreError;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::error::{Failure, within};
use super::infos::{self, Remover};
use super::locks::{self, Patience};
use super::{PostgresConfig, connect, parse_or_refuse, partitions, prune, schema, suppression};
use crate::erase::{Erasure, ErasureReport};
use crate::subject::Subject;
use crate::suppression::{ErasureMode, SubjectDigests};

const SUPPRESS: &str = "\
INSERT INTO suppression AS known (kind, mode, digest, received_until)
VALUES ($1, $2, $3, greatest($4, clock_timestamp()))
ON CONFLICT (kind, mode, digest) DO UPDATE
    SET received_until = greatest(known.received_until, excluded.received_until)
RETURNING received_until";
const NEW_LIST: &str = "UPDATE keeping SET suppression_version = suppression_version + 1";
const LETTERS: &str = "SELECT id, frame_id IS NOT NULL, bytes FROM dead_letter";
const REMOVE_LETTERS: &str = "DELETE FROM dead_letter WHERE id = ANY($1)";

/// Rows of one transaction: some tens of milliseconds, and no writer waits for them.
const CHUNK_ROWS: u32 = 5000;
const CHUNK_LETTERS: usize = 500;
/// Of one statement; an address has no index.
const DEADLINE: Duration = Duration::from_secs(300);
const LOCK_BUDGET: Duration = Duration::from_secs(60);

/// Suppresses and erases what was received until now.
///
/// # Errors
/// The database fails, is of another schema, or somebody holds a lock for too long. What is done
/// stays done; another run finishes it.
pub async fn erase(
    config: &PostgresConfig,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<ErasureReport, StoreError> {
    let options = parse_or_refuse(config)?.application_name("djaffar erase");
    let mut connection = within(config.attempt_timeout, connect::connect(&options)).await?;
    within(config.attempt_timeout, schema::require(&mut connection)).await?;
    Ok(run(&mut connection, erasure, now).await?)
}

async fn run(
    connection: &mut PgConnection,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<ErasureReport, Failure> {
    let Erasure { subject, mode } = erasure;
    let mut report = suppress(connection, erasure, now).await?;
    prune::drop_detached(connection, DEADLINE).await?;
    let (rows, mut sessions) = rows(connection, subject, *mode, report.received_until).await?;
    report.activities = rows;
    letters(connection, subject, &mut report).await?;
    if let Subject::Session(id) = subject {
        sessions.insert(id.as_str().to_owned());
    }
    let sessions: Vec<String> = sessions.into_iter().collect();
    report.session_infos = Remover::new(DEADLINE).remove(connection, &sessions).await?;
    report.shared_sessions = within(DEADLINE, infos::shared(connection, &sessions)).await?;
    Ok(report)
}

/// From its COMMIT on, every store transaction knows.
async fn suppress(
    connection: &mut PgConnection,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<ErasureReport, Failure> {
    let salt = within(DEADLINE, suppression::salt(connection)).await?;
    let kind = erasure.subject.kind();
    let digest = SubjectDigests::new(&salt).digest(kind, &erasure.subject.value());
    let mut patience = Patience::of(LOCK_BUDGET);
    loop {
        let once = async {
            let mut transaction = connection.begin().await?;
            sqlx::raw_sql(AssertSqlSafe(patience.statement())).execute(&mut *transaction).await?;
            sqlx::raw_sql(locks::ALONE).execute(&mut *transaction).await?;
            let query = sqlx::query_scalar(SUPPRESS).bind(kind.name()).bind(erasure.mode.name());
            let until: DateTime<Utc> = query.bind(&digest[..]).bind(now).fetch_one(&mut *transaction).await?;
            sqlx::raw_sql(NEW_LIST).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok::<_, Failure>(ErasureReport::new(digest, until))
        };
        match within(DEADLINE, once).await {
            Err(failure) if patience.tries_again_after(&failure).await => {}
            result => return result,
        }
    }
}

/// How many rows, and their sessions. Ends with a look at everything in which nothing was found
/// and nothing was moved.
async fn rows(
    connection: &mut PgConnection,
    subject: &Subject,
    mode: ErasureMode,
    until: DateTime<Utc>,
) -> Result<(u64, BTreeSet<String>), Failure> {
    let (mut rows, mut sessions) = (0, BTreeSet::new());
    loop {
        partitions::carry_strays(connection, DEADLINE).await?;
        let before = within(DEADLINE, partitions::all(connection)).await?;
        let mut found = 0;
        for table in &before {
            while let Some((count, of_sessions)) =
                within(DEADLINE, chunk(connection, table, subject, mode, until)).await?
            {
                found += count;
                sessions.extend(of_sessions);
                if count < u64::from(CHUNK_ROWS) {
                    break;
                }
            }
        }
        rows += found;
        let strays = within(DEADLINE, partitions::exists(connection, partitions::STRAY)).await?;
        if found == 0 && !strays && before == within(DEADLINE, partitions::all(connection)).await? {
            return Ok((rows, sessions));
        }
    }
}

/// `None` for a month that has gone meanwhile.
async fn chunk(
    connection: &mut PgConnection,
    table: &str,
    subject: &Subject,
    mode: ErasureMode,
    until: DateTime<Utc>,
) -> Result<Option<(u64, Vec<String>)>, Failure> {
    let mut transaction = connection.begin().await?;
    // Nobody moves rows between partitions meanwhile.
    sqlx::raw_sql(schema::LOCK).execute(&mut *transaction).await?;
    if !partitions::exists(&mut transaction, table).await? {
        return Ok(None);
    }
    let (column, touched) = (subject.kind().column(), touch(mode, table));
    let statement = format!(
        "WITH chosen AS (
            SELECT ctid, session_id FROM \"{table}\"
            WHERE {column} = $1 AND (received_at <= $2 OR received_at > clock_timestamp()) LIMIT {CHUNK_ROWS}
        ), touched AS ({touched} WHERE stored.ctid = chosen.ctid RETURNING true)
        SELECT (SELECT count(*) FROM touched), array_agg(DISTINCT session_id) FILTER (WHERE session_id IS NOT NULL)
        FROM chosen"
    );
    let query = sqlx::query_as(AssertSqlSafe(statement)).bind(subject.value()).bind(until);
    let (count, sessions): (i64, Option<Vec<String>>) =
        query.persistent(false).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Some((count.cast_unsigned(), sessions.unwrap_or_default())))
}

fn touch(mode: ErasureMode, table: &str) -> String {
    match mode {
        ErasureMode::Erase => format!("DELETE FROM \"{table}\" AS stored USING chosen"),
        ErasureMode::Anonymise => format!(
            "UPDATE \"{table}\" AS stored SET user_id = NULL, session_id = NULL, ip_address = NULL FROM chosen"
        ),
    }
}

/// Their bytes are the original, so that they go in either mode.
async fn letters(
    connection: &mut PgConnection,
    subject: &Subject,
    report: &mut ErasureReport,
) -> Result<(), Failure> {
    let now = shared::time::now();
    let mut theirs = Vec::new();
    let mut letters = sqlx::query_as::<_, (i64, bool, Vec<u8>)>(LETTERS).fetch(&mut *connection);
    while let Some((id, has_frame, bytes)) = within(DEADLINE, letters.try_next()).await? {
        if report.takes(subject, has_frame, bytes.into(), now) {
            theirs.push(id);
        }
    }
    drop(letters);
    for chunk in theirs.chunks(CHUNK_LETTERS) {
        let removed =
            within(DEADLINE, sqlx::query(REMOVE_LETTERS).bind(chunk).execute(&mut *connection)).await?;
        report.dead_letters += removed.rows_affected();
    }
    Ok(())
}
