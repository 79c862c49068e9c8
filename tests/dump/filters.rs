//! `--since`, `--until`, `--user` and `--session`: the rows that are meant, found by an index.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::event::{Activity, EventDate, SessionId, UserId};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::database::{PostgresDatabase, SqliteFile, dump};
use crate::rows;

/// Some users and sessions, an activity an hour.
fn activities() -> Vec<Activity> {
    let sample = &rows::activities()[2];
    let begin = "2026-11-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().expect("a date");
    (0_usize..2000)
        .map(|number| Activity {
            id: shared::event::EventId(uuid::Uuid::from_u128(number as u128)),
            date: EventDate::new(begin + chrono::TimeDelta::hours(number as i64)).expect("a date"),
            user_id: (number % 50 > 0)
                .then(|| UserId::new(format!("o'user {}", number % 50)).expect("a user")),
            session_id: Some(SessionId::new(format!("s{}", number % 40)).expect("a session")),
            ..sample.clone()
        })
        .collect()
}

fn selected(database: &str, table: &str, filter: &[&str]) -> Vec<Value> {
    let printed = dump(database, [table, "--format", "ndjson"].into_iter().chain(filter.iter().copied()));
    printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[tokio::test]
async fn filters_select_rows_and_the_sessions_of_those_rows() {
    let activities = activities();
    let file = SqliteFile::filled(&activities).await;
    let postgres = PostgresDatabase::filled(&activities).await;
    let (since, until) = ("2026-11-02T00:00:00+00:00", "2026-11-03");
    for filter in [
        &["--since", since][..],
        &["--until", until],
        &["--since", since, "--until", until],
        &["--user", "o'user 2"],
        &["--session", "s3"],
        &["--user", "o'user 23", "--session", "s33", "--since", since],
        &["--user", "nobody' OR '1' = '1"],
    ] {
        let value = |flag: &str| {
            let position = filter.iter().position(|argument| *argument == flag)?;
            Some(filter[position + 1])
        };
        let matches = |activity: &&Activity| {
            let hours = activity.id.0.as_u128();
            value("--since").is_none_or(|_| hours >= 24)
                && value("--until").is_none_or(|_| hours < 48)
                && value("--user")
                    .is_none_or(|user| activity.user_id.as_ref().is_some_and(|id| id.as_str() == user))
                && value("--session")
                    .is_none_or(|key| activity.session_id.as_ref().is_some_and(|id| id.as_str() == key))
        };
        let expected: Vec<&Activity> = activities.iter().filter(matches).collect();
        let sessions: BTreeSet<&str> = expected
            .iter()
            .filter_map(|activity| activity.session_id.as_ref())
            .map(|id| id.as_str())
            .collect();
        for database in [&file.url(), &postgres.url] {
            let rows = selected(database, "activity", filter);
            let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().expect("an id")).collect();
            let expected: Vec<String> = expected.iter().map(|activity| activity.id.0.to_string()).collect();
            assert_eq!(ids, expected, "{filter:?}");
            let infos = selected(database, "sessioninfo", filter);
            let keys: BTreeSet<&str> =
                infos.iter().map(|info| info["session"].as_str().expect("a key")).collect();
            assert_eq!(keys, sessions, "{filter:?}");
        }
    }
}

/// The planner of SQLite without statistics, that of Postgres when a scan costs what it costs on a large table.
#[tokio::test]
async fn filters_are_served_by_indexes() {
    let activities = activities();
    let file = SqliteFile::filled(&activities).await;
    let mut sqlite = SqliteConnection::connect(&file.url()).await.expect("the file opens");
    let postgres = PostgresDatabase::filled(&activities).await;
    let mut server = PgConnection::connect(&postgres.url).await.expect("the server answers");
    sqlx::raw_sql("ANALYZE; SET enable_seqscan = off").execute(&mut server).await.expect("settings");
    for (condition, column, sqlites_index) in [
        ("date >= '2026-11-02' AND date < '2026-11-03'", "date", "PRIMARY KEY"),
        ("user_id = 'o''user 2'", "user_id", "activity_user_id"),
        ("session_id = 's3'", "session_id", "activity_session_id"),
    ] {
        let query = format!("SELECT id, path FROM activity WHERE {condition} ORDER BY date, id");
        let statement = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(statement).fetch_all(&mut sqlite).await.expect("a plan");
        let step =
            |step: &(i64, i64, i64, String)| step.3.starts_with("SEARCH") && step.3.contains(sqlites_index);
        assert!(plan.iter().any(step), "{condition}: {plan:?}");
        let statement = sqlx::AssertSqlSafe(format!("EXPLAIN {query}"));
        let plan: Vec<String> = sqlx::query_scalar(statement).fetch_all(&mut server).await.expect("a plan");
        let is_looked_up = |line: &String| line.contains("Index Cond") && line.contains(column);
        assert!(plan.iter().any(is_looked_up), "{condition}: {plan:#?}");
        // Months without rows may be looked at in any way.
        let rows_are_scanned = |line: &String| line.contains("Seq Scan") && !line.contains(" rows=1 ");
        assert!(!plan.iter().any(rows_are_scanned), "{condition}: {plan:#?}");
    }
}
