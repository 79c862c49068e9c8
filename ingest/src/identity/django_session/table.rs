//! `django_session`: one row a session.

use chrono::{DateTime, Utc};

use super::super::database::{IdentityDatabase, TableName, instant, write_instant};
use super::super::look_up::Unreachable;

pub(super) struct SessionRow {
    pub(super) data: String,
    pub(super) expires: DateTime<Utc>,
}

/// A session that is not in the table yet.
pub(super) struct NewSession {
    pub(super) key: String,
    pub(super) data: String,
    pub(super) expires: DateTime<Utc>,
}

#[derive(Clone)]
pub(super) struct SessionTable {
    database: IdentityDatabase,
    name: TableName,
}

impl SessionTable {
    pub(super) fn new(database: IdentityDatabase, name: TableName) -> Self {
        Self { database, name }
    }

    pub(super) async fn find(&self, key: &str) -> Result<Option<SessionRow>, Unreachable> {
        let expires = self.database.instant_sql("expire_date");
        let table = self.name.quoted();
        let sql = format!("select cast(session_data as text), {expires} from {table} where session_key = $1");
        let Some(row) = self.database.rows(&sql, &[key]).await?.pop() else { return Ok(None) };
        let mut columns = row.into_iter();
        let (data, expires) = (columns.next().flatten(), columns.next().flatten());
        let Some(expires) = expires.and_then(|text| instant(&text)) else {
            return Err(Unreachable(format!("an expire_date in {} is no date", self.name)));
        };
        Ok(Some(SessionRow { data: data.unwrap_or_default(), expires }))
    }

    /// All of them, or none.
    pub(super) async fn insert(&self, sessions: &[NewSession]) -> Result<(), Unreachable> {
        let row = |place: usize| {
            let expires = self.database.stored_instant_sql(&format!("${}", place * 3 + 3));
            format!("(${}, ${}, {expires})", place * 3 + 1, place * 3 + 2)
        };
        let rows: Vec<_> = (0..sessions.len()).map(row).collect();
        let sql = format!(
            "insert into {} (session_key, session_data, expire_date) values {}",
            self.name.quoted(),
            rows.join(", ")
        );
        let expiries: Vec<_> = sessions.iter().map(|session| write_instant(session.expires)).collect();
        let arguments: Vec<&str> = sessions
            .iter()
            .zip(&expiries)
            .flat_map(|(session, expires)| [session.key.as_str(), session.data.as_str(), expires.as_str()])
            .collect();
        self.database.rows(&sql, &arguments).await.map(|_| ())
    }
}
