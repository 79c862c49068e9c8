//! What is stored, read with plain SQL beside the program under test.

use std::path::Path;

use chrono::NaiveDateTime;
use shared::accounting::Accounting;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::journal::Stored;

type ActivityRow = (String, String, String, Option<String>);
type Totals = (i64, i64, i64, i64, i64);

/// Where the rows are. Every method panics when the database cannot be read.
#[derive(Clone, Debug)]
pub enum Database {
    Sqlite(String),
    Postgres(String),
}

impl Database {
    /// The default database of `djaffar serve` in this data directory.
    #[must_use]
    pub fn of_serve(data_directory: &str) -> Self {
        let path = Path::new(data_directory).join("djaffar.sqlite3");
        Self::Sqlite(path.display().to_string())
    }

    /// # Panics
    /// The database cannot be read.
    pub async fn activities(&self) -> Vec<Stored> {
        let rows: Vec<ActivityRow> = match self {
            Self::Sqlite(path) => {
                let sql = "select id, date, path, session_id from activity order by date, id";
                sqlx::query_as(sql).fetch_all(&mut sqlite(path).await).await
            }
            Self::Postgres(url) => {
                let sql = "select id::text, to_char(date at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), \
                           path, session_id from activity order by date, id";
                sqlx::query_as(sql).fetch_all(&mut postgres(url).await).await
            }
        }
        .expect("activity can be read");
        rows.into_iter().map(stored).collect()
    }

    /// # Panics
    /// The database cannot be read.
    pub async fn count(&self) -> u64 {
        self.number("select count(*) from activity").await
    }

    /// # Panics
    /// The database cannot be read.
    pub async fn dead_letters(&self) -> u64 {
        self.number("select count(*) from dead_letter").await
    }

    /// Session id and user agent.
    ///
    /// # Panics
    /// The database cannot be read.
    pub async fn session_infos(&self) -> Vec<(String, String)> {
        let sql = "select session_id, user_agent from session_info order by session_id";
        match self {
            Self::Sqlite(path) => sqlx::query_as(sql).fetch_all(&mut sqlite(path).await).await,
            Self::Postgres(url) => sqlx::query_as(sql).fetch_all(&mut postgres(url).await).await,
        }
        .expect("session_info can be read")
    }

    /// All writers together.
    ///
    /// # Panics
    /// The database cannot be read.
    pub async fn accounting(&self) -> Accounting {
        let sql = "select cast(coalesce(sum(delivered), 0) as bigint), cast(coalesce(sum(stored), 0) as bigint), \
                   cast(coalesce(sum(duplicate), 0) as bigint), cast(coalesce(sum(dead), 0) as bigint), \
                   cast(coalesce(sum(suppressed), 0) as bigint) from accounting";
        let totals: Totals = match self {
            Self::Sqlite(path) => sqlx::query_as(sql).fetch_one(&mut sqlite(path).await).await,
            Self::Postgres(url) => sqlx::query_as(sql).fetch_one(&mut postgres(url).await).await,
        }
        .expect("accounting can be read");
        let whole = |count: i64| u64::try_from(count).expect("counts are not negative");
        Accounting {
            delivered: whole(totals.0),
            stored: whole(totals.1),
            duplicate: whole(totals.2),
            dead: whole(totals.3),
            suppressed: whole(totals.4),
        }
    }

    /// Accounting closes, agrees with the rows, and nothing is dead.
    ///
    /// # Panics
    /// It does not.
    pub async fn assert_accounts(&self) {
        let accounting = self.accounting().await;
        assert!(accounting.closes(), "{accounting:?}");
        assert_eq!(accounting.stored, self.count().await, "{accounting:?}");
        assert_eq!((accounting.dead, self.dead_letters().await), (0, 0), "{accounting:?}");
    }

    /// Runs statements beside the program under test.
    ///
    /// # Panics
    /// The database refuses them.
    pub async fn sql(&self, statements: &'static str) {
        let result = match self {
            Self::Sqlite(path) => sqlx::raw_sql(statements).execute(&mut sqlite(path).await).await.map(drop),
            Self::Postgres(url) => {
                sqlx::raw_sql(statements).execute(&mut postgres(url).await).await.map(drop)
            }
        };
        result.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// For `--database`.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{path}"),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Runs statements that cannot share a transaction, on one connection.
    ///
    /// # Panics
    /// They fail.
    pub async fn execute_each(&self, statements: &[&'static str]) {
        let Self::Postgres(url) = self else { panic!("for Postgres alone") };
        let mut connection = postgres(url).await;
        for statement in statements {
            sqlx::raw_sql(*statement).execute(&mut connection).await.expect("the statement is right");
        }
    }

    /// What a query counts.
    ///
    /// # Panics
    /// It fails.
    pub async fn number(&self, sql: &'static str) -> u64 {
        let (count,): (i64,) = match self {
            Self::Sqlite(path) => sqlx::query_as(sql).fetch_one(&mut sqlite(path).await).await,
            Self::Postgres(url) => sqlx::query_as(sql).fetch_one(&mut postgres(url).await).await,
        }
        .expect("rows can be counted");
        u64::try_from(count).expect("counts are not negative")
    }
}

fn stored((id, date, path, session): ActivityRow) -> Stored {
    let date = NaiveDateTime::parse_from_str(&date, "%Y-%m-%d %H:%M:%S%.f").expect("a stored date");
    Stored { id: Uuid::parse_str(&id).expect("a stored id"), date: date.and_utc(), path, session }
}

async fn sqlite(path: &str) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    SqliteConnection::connect_with(&options).await.expect("the database can be opened")
}

async fn postgres(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the database can be reached")
}
