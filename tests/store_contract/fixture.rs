//! The databases under test, read back with plain SQL.

use std::fs::{self, DirEntry};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use djaffar_tests::postgres::Postgres;
use shared::accounting::Accounting;
use shared::event::{
    Activity, ClientAddress, EventDate, EventId, PagePath, REFERER_CHARACTERS_MAX, Referer, SessionId,
    UserAgent, UserId,
};
use shared::frame::FrameId;
use shared::secret::Secret;
use shared::store::{DeadLetter, Origin, SessionInfo};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;
use writer::erase::Erasure;
use writer::store::contract::{Rows, StoreFixture};
use writer::store::postgres::{self, ATTEMPT_TIMEOUT, PostgresConfig, PostgresStore};
use writer::store::sqlite::{self, SqliteConfig, SqliteStore};
use writer::subject::Subject;
use writer::suppression::ErasureMode;

const ACTIVITIES: &str = "select id, date, received_at, session_id, user_id, ip_address, path, referer \
                          from activity order by date, id";
const SESSION_INFOS: &str = "select session_id, user_agent, first_seen from session_info order by session_id";
const DEAD_LETTERS: &str = "select bytes, reason, sqlstate, frame_id, position, first_seen \
                            from dead_letter order by frame_id, position";
const ACCOUNTING: &str = "select delivered, stored, duplicate, dead, suppressed from accounting";

pub(crate) struct SqliteFixture {
    directory: TempDir,
}

impl SqliteFixture {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    pub(crate) fn config(&self) -> SqliteConfig {
        SqliteConfig { path: self.directory.path().join("djaffar.sqlite3") }
    }

    pub(crate) fn files(&self) -> Vec<DirEntry> {
        let entries = fs::read_dir(self.directory.path()).expect("the directory can be read");
        entries.map(|entry| entry.expect("the directory can be read")).collect()
    }

    pub(crate) async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.config().path);
        SqliteConnection::connect_with(&options).await.expect("the file can be opened")
    }

    pub(crate) async fn sql(&self, statements: &'static str) {
        sqlx::raw_sql(statements).execute(&mut self.connect().await).await.expect("the statements are right");
    }
}

impl StoreFixture for SqliteFixture {
    type Store = SqliteStore;

    async fn open(&self, _writer_id: &str) -> SqliteStore {
        SqliteStore::new(self.config())
    }

    async fn erase(&self, subject: &Subject, mode: ErasureMode) -> DateTime<Utc> {
        let erasure = Erasure { subject: subject.clone(), mode };
        let report = sqlite::erase(&self.config(), &erasure, shared::time::now()).await;
        report.expect("it can be erased").received_until
    }

    async fn rows(&self) -> Rows {
        let mut database = self.connect().await;
        let activities: Vec<ActivityRow<String, String>> =
            sqlx::query_as(ACTIVITIES).fetch_all(&mut database).await.expect("activities");
        let infos: Vec<InfoRow<String>> =
            sqlx::query_as(SESSION_INFOS).fetch_all(&mut database).await.expect("session infos");
        let letters: Vec<LetterRow<String, String>> =
            sqlx::query_as(DEAD_LETTERS).fetch_all(&mut database).await.expect("dead letters");
        let totals: Vec<Totals> =
            sqlx::query_as(ACCOUNTING).fetch_all(&mut database).await.expect("accounting");
        Rows {
            activities: activities.into_iter().map(activity).collect(),
            session_infos: infos.into_iter().map(session_info).collect(),
            dead_letters: letters.into_iter().map(dead_letter).collect(),
            accounting: totals.into_iter().map(accounting).collect(),
        }
    }
}

pub(crate) struct PostgresFixture {
    pub(crate) url: String,
    _server: Arc<Postgres>,
}

impl PostgresFixture {
    pub(crate) async fn new() -> Self {
        let server = Postgres::shared().await;
        Self { url: server.database().await, _server: server }
    }

    pub(crate) fn config(&self) -> PostgresConfig {
        let url = Secret::new(self.url.clone());
        PostgresConfig { url, writer_id: String::new(), attempt_timeout: ATTEMPT_TIMEOUT }
    }

    pub(crate) async fn sql(&self, statements: &str) {
        sql(&self.url, statements).await;
    }

    pub(crate) async fn count(&self, query: &str) -> i64 {
        count(&self.url, query).await
    }
}

/// Runs statements on a connection of its own.
pub(crate) async fn sql(url: &str, statements: &str) {
    let mut connection = connect(url).await;
    let result = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await;
    result.unwrap_or_else(|error| panic!("{statements}: {error}"));
}

pub(crate) async fn count(url: &str, query: &str) -> i64 {
    let query = sqlx::query_scalar(AssertSqlSafe(query));
    query.fetch_one(&mut connect(url).await).await.expect("a count")
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the server can be reached")
}

pub(crate) fn postgres_store(url: &str, writer_id: &str) -> PostgresStore {
    postgres_store_within(url, writer_id, ATTEMPT_TIMEOUT)
}

pub(crate) fn postgres_store_within(url: &str, writer_id: &str, attempt_timeout: Duration) -> PostgresStore {
    let (url, writer_id) = (Secret::new(url), writer_id.to_owned());
    PostgresStore::new(PostgresConfig { url, writer_id, attempt_timeout }).expect("a valid URL")
}

impl StoreFixture for PostgresFixture {
    type Store = PostgresStore;

    async fn open(&self, writer_id: &str) -> PostgresStore {
        postgres_store(&self.url, writer_id)
    }

    async fn erase(&self, subject: &Subject, mode: ErasureMode) -> DateTime<Utc> {
        let erasure = Erasure { subject: subject.clone(), mode };
        let report = postgres::erase(&self.config(), &erasure, shared::time::now()).await;
        report.expect("it can be erased").received_until
    }

    async fn rows(&self) -> Rows {
        let mut database = connect(&self.url).await;
        let activities: Vec<ActivityRow<Uuid, DateTime<Utc>>> =
            sqlx::query_as(ACTIVITIES).fetch_all(&mut database).await.expect("activities");
        let infos: Vec<InfoRow<DateTime<Utc>>> =
            sqlx::query_as(SESSION_INFOS).fetch_all(&mut database).await.expect("session infos");
        let letters: Vec<LetterRow<Uuid, DateTime<Utc>>> =
            sqlx::query_as(DEAD_LETTERS).fetch_all(&mut database).await.expect("dead letters");
        let totals: Vec<Totals> =
            sqlx::query_as(ACCOUNTING).fetch_all(&mut database).await.expect("accounting");
        Rows {
            activities: activities.into_iter().map(activity).collect(),
            session_infos: infos.into_iter().map(session_info).collect(),
            dead_letters: letters.into_iter().map(dead_letter).collect(),
            accounting: totals.into_iter().map(accounting).collect(),
        }
    }
}

type ActivityRow<I, D> = (I, D, D, Option<String>, Option<String>, Option<String>, String, String);
type InfoRow<D> = (String, String, D);
type LetterRow<I, D> = (Vec<u8>, String, Option<String>, Option<I>, i64, D);
type Totals = (i64, i64, i64, i64, i64);

trait StoredId {
    fn id(self) -> Uuid;
}

impl StoredId for Uuid {
    fn id(self) -> Uuid {
        self
    }
}

impl StoredId for String {
    fn id(self) -> Uuid {
        assert!(self.len() == 32 && self == self.to_lowercase(), "{self}");
        Uuid::parse_str(&self).expect("32 hex digits")
    }
}

trait StoredDate {
    fn instant(self) -> DateTime<Utc>;
}

impl StoredDate for DateTime<Utc> {
    fn instant(self) -> DateTime<Utc> {
        self
    }
}

impl StoredDate for String {
    fn instant(self) -> DateTime<Utc> {
        NaiveDateTime::parse_from_str(&self, "%Y-%m-%d %H:%M:%S%.f").expect("a datetime of Django").and_utc()
    }
}

fn activity<I: StoredId, D: StoredDate>(row: ActivityRow<I, D>) -> Activity {
    let (id, date, received_at, session_id, user_id, ip_address, path, referer) = row;
    Activity {
        id: EventId(id.id()),
        date: EventDate::new(date.instant()).expect("a date"),
        received_at: EventDate::new(received_at.instant()).expect("a date"),
        session_id: session_id.map(|text| SessionId::new(text).expect("a session id")),
        user_id: user_id.map(|text| UserId::new(text).expect("a user id")),
        ip_address: ip_address.map(|text| ClientAddress::new(text.parse().expect("an address"))),
        path: PagePath::new(path).expect("a path"),
        referer: Referer::new(referer, REFERER_CHARACTERS_MAX).expect("a referer"),
        user_agent: UserAgent::default(),
    }
}

fn session_info<D: StoredDate>((session_id, user_agent, first_seen): InfoRow<D>) -> SessionInfo {
    SessionInfo {
        session_id: SessionId::new(session_id).expect("a session id"),
        user_agent: UserAgent::from_header(user_agent.as_bytes()),
        first_seen: first_seen.instant(),
    }
}

fn dead_letter<I: StoredId, D: StoredDate>(row: LetterRow<I, D>) -> DeadLetter {
    let (bytes, reason, sqlstate, frame_id, position, first_seen) = row;
    let index = u32::try_from(position).expect("a position");
    let frame_id = frame_id.map(|id| FrameId(id.id()));
    let first_seen = first_seen.instant();
    DeadLetter { bytes: bytes.into(), reason, sqlstate, origin: Origin { frame_id, index }, first_seen }
}

fn accounting(totals: Totals) -> Accounting {
    let whole = |count: i64| u64::try_from(count).expect("not negative");
    let (delivered, stored, duplicate, dead, suppressed) = totals;
    Accounting {
        delivered: whole(delivered),
        stored: whole(stored),
        duplicate: whole(duplicate),
        dead: whole(dead),
        suppressed: whole(suppressed),
    }
}
