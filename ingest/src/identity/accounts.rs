//! The site's own users, in Django's table: who exists, who is active.

use tokio::sync::OnceCell;

use super::database::{IdentityDatabase, KeyType, TableName};
use super::look_up::Unreachable;

/// Where Django keeps its users.
#[derive(Clone, Debug)]
pub struct AccountsConfig {
    pub database: IdentityDatabase,
    pub table: TableName,
    /// The column that `_auth_user_id` names: the primary key.
    pub key: String,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Django's password hash, or what a site without passwords keeps there.
    pub(crate) password: String,
    pub(crate) is_active: bool,
}

/// Asks for one user at a time; nothing is remembered here.
pub(crate) struct Accounts {
    config: AccountsConfig,
    schema: OnceCell<Schema>,
}

struct Schema {
    key: KeyType,
    sql: String,
}

impl Accounts {
    pub(crate) fn new(config: AccountsConfig) -> Self {
        Self { config, schema: OnceCell::new() }
    }

    /// The user with this id, as Django writes ids; `None` when there is none.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Account>, Unreachable> {
        let schema = self.schema().await?;
        let Some(argument) = schema.key.argument(id) else { return Ok(None) };
        let mut rows = self.config.database.rows(&schema.sql, &[&argument]).await?;
        let Some(mut row) = rows.pop() else { return Ok(None) };
        let is_active = row.pop().flatten().as_deref() == Some("1");
        Ok(Some(Account { password: row.pop().flatten().unwrap_or_default(), is_active }))
    }

    /// The id as Django writes it, from what a foreign key to it holds.
    pub(crate) async fn id(&self, stored: String) -> Result<String, Unreachable> {
        Ok(self.schema().await?.key.shown(stored))
    }

    /// Looked at once; for `djaffar check` too.
    pub(crate) async fn probe(&self) -> Result<(), Unreachable> {
        self.schema().await.map(|_| ())
    }

    async fn schema(&self) -> Result<&Schema, Unreachable> {
        self.schema
            .get_or_try_init(|| async {
                let AccountsConfig { database, table, key: key_column } = &self.config;
                let columns = database.columns(table).await?;
                let missing = |column: &str| Unreachable(format!("table {table} has no column {column}"));
                let key = columns.key_type(key_column).ok_or_else(|| missing(key_column))?;
                if !columns.has("password") {
                    return Err(missing("password"));
                }
                // Django takes the users of a model without the field for active.
                let is_active = if columns.has("is_active") {
                    "case when is_active then '1' else '0' end"
                } else {
                    "'1'"
                };
                let sql = format!(
                    "select cast(password as text), {is_active} from {} where \"{key_column}\" = {}",
                    table.quoted(),
                    key.argument_sql("$1")
                );
                Ok(Schema { key, sql })
            })
            .await
    }
}
