//! The writer's own connection and its settings. No pool: a connection that
//! may be in an unknown state must be dropped, not handed back.

use shared::postgres_route::{self, PostgresRoute, SslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use super::copy::COLUMNS;
use super::error::Failure;
use super::nagle::Filling;
use super::schema;
use crate::suppression::Suppressions;

/// A dead or frozen writer must not hold its locks: the server notices a lost
/// peer within 25 s, a closed one within 2 s, and nobody waits longer than 10 s for a lock.
const SETTINGS: [(&str, &str); 6] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("client_connection_check_interval", "2s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("lock_timeout", "10s"),
];
const APPLICATION_NAME: &str = "djaffar writer";
/// A setting that the server does not know (undefined_object).
const UNKNOWN_SETTING: &str = "42704";

/// A connection that is up to date and has its stage.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) filling: Filling,
    pub(super) suppressions: Suppressions,
}

pub(super) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.application_name(APPLICATION_NAME).options(SETTINGS).disable_statement_logging())
}

pub(super) async fn session(options: &PgConnectOptions) -> Result<Session, Failure> {
    let mut connection = connect(options).await?;
    schema::migrate(&mut connection).await?;
    // Once per connection: a table per batch would bloat the catalog.
    let stage = format!(
        "CREATE TEMPORARY TABLE stage ON COMMIT DELETE ROWS AS SELECT {COLUMNS} FROM activity WITH NO DATA"
    );
    sqlx::raw_sql(AssertSqlSafe(stage)).execute(&mut connection).await?;
    Ok(Session { connection, filling: Filling::for_route(options), suppressions: Suppressions::unread() })
}

pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Failure> {
    options.connect().await.map_err(|error| {
        if let Some(sentence) = postgres_route::explain(&error) {
            return Failure::NoTls(sentence);
        }
        match error.as_database_error().and_then(|error| error.code()) {
            Some(code) if code == UNKNOWN_SETTING => Failure::OldServer(error),
            _ => Failure::from(error),
        }
    })
}

pub(super) fn route(options: &PgConnectOptions, url: &str) -> PostgresRoute {
    let mode = match options.get_ssl_mode() {
        PgSslMode::Disable | PgSslMode::Allow => SslMode::Disable,
        PgSslMode::Prefer => SslMode::Prefer,
        PgSslMode::Require => SslMode::Require,
        PgSslMode::VerifyCa => SslMode::VerifyCa,
        PgSslMode::VerifyFull => SslMode::VerifyFull,
    };
    let host = options.get_socket().is_none().then(|| options.get_host());
    PostgresRoute::new(host, mode, url)
}
