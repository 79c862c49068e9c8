//! Erases a person from a SQLite file, beside the running writer.
//!
//! Rows are looked up as a reader, who holds nobody up, and removed by their
//! keys in short transactions. The file's one write lock does what the advisory
//! lock does elsewhere: no store transaction overlaps the suppression.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use futures_util::TryStreamExt;
use shared::store::StoreError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

use super::chunk::Chunk;
use super::error::{Failure, within};
use super::{SqliteConfig, django_text, schema, suppression};
use crate::erase::{Erasure, ErasureReport};
use crate::subject::Subject;
use crate::suppression::{ErasureMode, SubjectDigests};

const SUPPRESS: &str = "\
INSERT INTO suppression (kind, mode, digest, received_until) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (kind, mode, digest) DO UPDATE SET received_until = max(received_until, excluded.received_until)";
const NEW_LIST: &str = "UPDATE keeping SET suppression_version = suppression_version + 1";
/// Of these keys.
pub(super) const ERASE: &str =
    "DELETE FROM activity WHERE (date, id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
const ANONYMISE: &str = "\
UPDATE activity SET user_id = NULL, session_id = NULL, ip_address = NULL
WHERE (date, id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
const LETTERS: &str = "SELECT id, frame_id IS NOT NULL, bytes FROM dead_letter";
const REMOVE_LETTERS: &str = "DELETE FROM dead_letter WHERE id IN (SELECT value FROM json_each(?1))";
const REMOVE_INFOS: &str = "\
DELETE FROM session_info WHERE session_id IN (
    SELECT value FROM json_each(?1) AS candidate
    WHERE NOT EXISTS (SELECT 1 FROM activity WHERE activity.session_id = candidate.value)
)";
const FORGET: &str = "UPDATE keeping SET info_version = info_version + 1";
const SHARED: &str = "\
SELECT count(*) FROM json_each(?1) AS candidate
WHERE EXISTS (SELECT 1 FROM activity WHERE activity.session_id = candidate.value)";

/// A writer under full load leaves the lock for moments only.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(600);
/// Keys that are read ahead.
const PAGE_ROWS: u32 = 2000;

/// Suppresses and erases what was received until now.
///
/// # Errors
/// The file is missing, busy or of another schema. What is done stays done; another run finishes it.
pub async fn erase(
    config: &SqliteConfig,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<ErasureReport, StoreError> {
    within(DEADLINE, async {
        let mut connection = open(config).await?;
        run(&mut connection, erasure, now).await
    })
    .await
}

pub(super) async fn open(config: &SqliteConfig) -> Result<SqliteConnection, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(&config.path)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let mut connection = options.connect().await?;
    schema::require(&mut connection).await?;
    Ok(connection)
}

async fn run(
    connection: &mut SqliteConnection,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<ErasureReport, Failure> {
    let mut report = suppress(connection, erasure, now).await?;
    let mut sessions = rows(connection, erasure, &mut report).await?;
    letters(connection, &erasure.subject, &mut report).await?;
    if let Subject::Session(id) = &erasure.subject {
        sessions.insert(id.as_str().to_owned());
    }
    let sessions: Vec<String> = sessions.into_iter().collect();
    report.session_infos = remove_infos(connection, &sessions).await?;
    let shared: i64 = sqlx::query_scalar(SHARED).bind(list(&sessions)).fetch_one(connection).await?;
    report.shared_sessions = shared.cast_unsigned();
    Ok(report)
}

/// From its COMMIT on, every store transaction knows.
async fn suppress(
    connection: &mut SqliteConnection,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<ErasureReport, Failure> {
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let salt = suppression::salt(connection).await?;
    let kind = erasure.subject.kind();
    let digest = SubjectDigests::new(&salt).digest(kind, &erasure.subject.value());
    // It may have waited for the lock.
    let until = now.max(shared::time::now()).trunc_subsecs(6);
    let query = sqlx::query(SUPPRESS).bind(kind.name()).bind(erasure.mode.name()).bind(digest.to_vec());
    query.bind(django_text(until)).execute(&mut *connection).await?;
    sqlx::raw_sql(NEW_LIST).execute(&mut *connection).await?;
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(ErasureReport::new(digest, until))
}

/// Returns the sessions of the rows.
async fn rows(
    connection: &mut SqliteConnection,
    erasure: &Erasure,
    report: &mut ErasureReport,
) -> Result<BTreeSet<String>, Failure> {
    let page = format!(
        "SELECT date, id, session_id FROM activity
        WHERE {} = ?1 AND (received_at <= ?2 OR received_at > ?3) AND (date, id) > (?4, ?5)
        ORDER BY date, id LIMIT {PAGE_ROWS}",
        erasure.subject.kind().column()
    );
    let touch = match erasure.mode {
        ErasureMode::Erase => ERASE,
        ErasureMode::Anonymise => ANONYMISE,
    };
    let (mut sessions, mut chunk) = (BTreeSet::new(), Chunk::new());
    let (mut date, mut id) = (String::new(), String::new());
    loop {
        let query = sqlx::query_as(AssertSqlSafe(page.clone())).bind(erasure.subject.value());
        let query = query.bind(django_text(report.received_until)).bind(django_text(shared::time::now()));
        let found: Vec<(String, String, Option<String>)> =
            query.bind(&date).bind(&id).fetch_all(&mut *connection).await?;
        let Some(last) = found.last() else { return Ok(sessions) };
        (date, id) = (last.0.clone(), last.1.clone());
        let keys: Vec<[String; 2]> = found
            .into_iter()
            .map(|(date, id, session)| {
                sessions.extend(session);
                [date, id]
            })
            .collect();
        report.activities += in_chunks(connection, &mut chunk, touch, &keys, None).await?;
    }
}

/// Their bytes are the original, so that they go in either mode.
async fn letters(
    connection: &mut SqliteConnection,
    subject: &Subject,
    report: &mut ErasureReport,
) -> Result<(), Failure> {
    let now = shared::time::now();
    let mut theirs = Vec::new();
    let mut letters = sqlx::query_as::<_, (i64, bool, Vec<u8>)>(LETTERS).fetch(&mut *connection);
    while let Some((id, has_frame, bytes)) = letters.try_next().await? {
        if report.takes(subject, has_frame, bytes.into(), now) {
            theirs.push(id);
        }
    }
    drop(letters);
    report.dead_letters = in_chunks(connection, &mut Chunk::new(), REMOVE_LETTERS, &theirs, None).await?;
    Ok(())
}

/// Removes the infos of those sessions that no activity names.
pub(super) async fn remove_infos(
    connection: &mut SqliteConnection,
    sessions: &[String],
) -> Result<u64, Failure> {
    in_chunks(connection, &mut Chunk::new(), REMOVE_INFOS, sessions, Some(FORGET)).await
}

/// Runs the statement on the items, some at a time; where it has touched a row, `then` follows in
/// the same transaction. Returns how many rows.
pub(super) async fn in_chunks<T: serde::Serialize>(
    connection: &mut SqliteConnection,
    chunk: &mut Chunk,
    statement: &'static str,
    items: &[T],
    then: Option<&'static str>,
) -> Result<u64, Failure> {
    let (mut touched, mut rest) = (0, items);
    while !rest.is_empty() {
        let (some, others) = rest.split_at(chunk.rows().min(rest.len()));
        let some = list(some);
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        chunk.begin();
        let rows = sqlx::query(statement).bind(some).execute(&mut *connection).await?.rows_affected();
        if let Some(then) = then.filter(|_| rows > 0) {
            sqlx::raw_sql(then).execute(&mut *connection).await?;
        }
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
        chunk.end().await;
        touched += rows;
        rest = others;
    }
    Ok(touched)
}

fn list<T: serde::Serialize>(items: &[T]) -> String {
    serde_json::to_string(items).expect("texts and numbers serialise")
}
