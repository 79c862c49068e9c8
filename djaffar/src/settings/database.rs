//! Where the rows end up.

use std::path::{Path, PathBuf};

use clap::Args;
use shared::secret::Secret;

use super::duration::Span;
use super::size::Size;
use super::twin;
use crate::failure::Failure;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabaseSettings {
    /// Database: `sqlite:PATH` or `postgres://user@host/name` [default: SQLite in the data directory]
    #[arg(long, value_name = "URL", value_parser = super::secret)]
    database: Option<Secret>,
    /// File that holds the value of --database, for URLs with a password in them
    #[arg(long, value_name = "FILE")]
    database_file: Option<PathBuf>,
}

/// Limits of what the writer keeps beside the rows.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Writer")]
pub(crate) struct WriterSettings {
    /// Bytes of dead letters in the database; beyond it the writer stops storing, red, instead of dropping
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) dead_letters_max: Size,
    /// Age at which activities and their session infos are deleted, once a day, a day or more [default: never]
    #[arg(long, value_name = "TIME", value_parser = retention)]
    pub(crate) retention: Option<Span>,
}

/// The database that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DatabaseChoice {
    Sqlite(PathBuf),
    Postgres(Secret),
}

impl DatabaseSettings {
    /// The database; SQLite in `data_directory` unless another one is named.
    pub(crate) fn choice(&self, data_directory: &Path) -> Result<DatabaseChoice, Failure> {
        Ok(self.named()?.unwrap_or_else(|| DatabaseChoice::Sqlite(data_directory.join("djaffar.sqlite3"))))
    }

    /// For the split pipeline, whose processes share no data directory.
    pub(crate) fn required(&self, command: &str) -> Result<DatabaseChoice, Failure> {
        self.named()?.ok_or_else(|| {
            Failure::misconfigured(format!(
                "database is needed by `djaffar {command}`: name it as --database postgres://user@host/name"
            ))
        })
    }

    fn named(&self) -> Result<Option<DatabaseChoice>, Failure> {
        let secret = twin::resolve("database", self.database.as_ref(), self.database_file.as_deref())?;
        secret.map(parse).transpose()
    }
}

fn retention(text: &str) -> Result<Span, String> {
    match text.parse::<Span>()? {
        span if span < Span::seconds(86_400) => {
            Err("a retention is a day or longer, such as 90days".to_owned())
        }
        span => Ok(span),
    }
}

fn parse(secret: Secret) -> Result<DatabaseChoice, Failure> {
    let text = secret.expose();
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(DatabaseChoice::Postgres(secret));
    }
    if let Some(path) = text.strip_prefix("sqlite:") {
        // sqlite:///absolute and sqlite:PATH are both in use.
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.is_empty() && path != ":memory:" {
            return Ok(DatabaseChoice::Sqlite(PathBuf::from(path)));
        }
    }
    Err(Failure::misconfigured(
        "database is neither SQLite nor Postgres; use sqlite:PATH or postgres://user@host/name",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_sqlite_or_postgres() {
        let sqlite = |path: &str| Some(DatabaseChoice::Sqlite(PathBuf::from(path)));
        assert_eq!(parse(Secret::new("sqlite:a/b.db")).ok(), sqlite("a/b.db"));
        assert_eq!(parse(Secret::new("sqlite:///a/b.db")).ok(), sqlite("/a/b.db"));
        let postgres = parse(Secret::new("postgresql://u:p@h/d")).unwrap();
        assert_eq!(format!("{postgres:?}"), "Postgres(***)");
        for wrong in ["sqlite:", "sqlite::memory:", "mysql://h/d", "h/d"] {
            assert!(parse(Secret::new(wrong)).is_err(), "{wrong}");
        }
    }
}
