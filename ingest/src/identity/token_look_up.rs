//! Opaque tokens, looked up in the site's own database.
//!
//! Rule of safety: a token is a bound argument and nothing else; it is
//! remembered by its SHA-256, and compared in constant time where the database
//! keeps it in clear. Held by the tests beside this file and by `tests/django`.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use shared::event::UserId;
use subtle::ConstantTimeEq;
use tokio::sync::OnceCell;

use super::accounts::Accounts;
use super::authorization::TokenVerdict;
use super::database::{IdentityDatabase, Row, TableName, instant};
use super::look_up::{LookUpConfig, Remember, Remembered, Unreachable};

const INVALID: TokenVerdict = TokenVerdict::Refused("Invalid token.");
const INACTIVE: TokenVerdict = TokenVerdict::Refused("User inactive or deleted.");

/// The tables of the presets.
const DRF_TOKENS: &str = "authtoken_token";
const OAUTH_TOKENS: &str = "oauth2_provider_accesstoken";
/// Newer versions of the toolkit look a token up by its checksum.
const OAUTH_CHECKSUM: &str = "token_checksum";

/// Where tokens are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// Django REST framework's `authtoken`: `Authorization: Token <key>`.
    DjangoRestFramework,
    /// django-oauth-toolkit's access tokens, with and without checksums: `Authorization: Bearer <token>`.
    OauthToolkit,
    /// The site's own query: the token is `$1`, the user's id its only column.
    Query { sql: String, scheme: String },
}

impl TokenSource {
    /// One whose tables are Django's.
    #[must_use]
    pub fn is_preset(&self) -> bool {
        !matches!(self, Self::Query { .. })
    }

    fn scheme(&self) -> &str {
        match self {
            Self::DjangoRestFramework => "Token",
            Self::OauthToolkit => "Bearer",
            Self::Query { scheme, .. } => scheme,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::DjangoRestFramework => "drf_token",
            Self::OauthToolkit => "oauth_toolkit_token",
            Self::Query { .. } => "token_query",
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::DjangoRestFramework => "tokens of Django REST framework",
            Self::OauthToolkit => "tokens of django-oauth-toolkit",
            Self::Query { .. } => "tokens of the site's own query",
        }
    }
}

/// What is known of a token, and until when it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    verdict: TokenVerdict,
    expires: Option<DateTime<Utc>>,
}

impl Remember for Known {
    fn is_positive(&self) -> bool {
        self.verdict.is_positive()
    }
}

pub(crate) struct TokenLookUp {
    source: TokenSource,
    database: IdentityDatabase,
    /// Django's users; the presets take only active ones.
    accounts: Option<Arc<Accounts>>,
    question: OnceCell<Question>,
    known: Remembered<[u8; 32], Known>,
}

/// The columns it brings: the user's id, then, of the presets, the token as stored and its end.
struct Question {
    sql: String,
    argument: Argument,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Argument {
    Token,
    Checksum,
}

impl TokenLookUp {
    /// `accounts` are needed by the presets alone.
    pub(crate) fn new(
        source: TokenSource,
        database: IdentityDatabase,
        accounts: Option<Arc<Accounts>>,
        config: &LookUpConfig,
    ) -> Self {
        let known = Remembered::new(source.label(), config);
        Self { source, database, accounts, question: OnceCell::new(), known }
    }

    pub(crate) fn scheme(&self) -> &str {
        self.source.scheme()
    }

    pub(crate) fn describe(&self) -> String {
        format!("{} (`Authorization: {} ...`) in {}", self.source.name(), self.scheme(), self.database.name())
    }

    /// Asks for a token that nobody has.
    pub(crate) async fn probe(&self) -> Result<String, Unreachable> {
        self.ask("djaffar-check").await.map(|_| "the table of tokens can be read".to_owned())
    }

    pub(crate) async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<TokenVerdict, Unreachable> {
        let key = Sha256::digest(token).into();
        let known = self.known.get(&key, || self.ask(token)).await?;
        Ok(if known.expires.is_some_and(|expires| expires <= now) { INVALID } else { known.verdict })
    }

    async fn ask(&self, token: &str) -> Result<Known, Unreachable> {
        let question = self.question.get_or_try_init(|| self.question()).await?;
        let checksum;
        let argument = match question.argument {
            Argument::Token => token,
            Argument::Checksum => {
                checksum = HEXLOWER.encode(&Sha256::digest(token));
                &checksum
            }
        };
        let mut rows = self.database.rows(&question.sql, &[argument]).await?;
        if rows.len() > 1 {
            return Err(Unreachable("the query for tokens has found several users for one token".to_owned()));
        }
        match (rows.pop(), &self.source) {
            (None, _) => Ok(Known { verdict: INVALID, expires: None }),
            (Some(row), TokenSource::Query { .. }) => {
                let user = row.into_iter().next().flatten();
                Ok(Known { verdict: verified(user)?, expires: None })
            }
            (Some(row), _) => self.of_preset(token, row).await,
        }
    }

    async fn of_preset(&self, token: &str, row: Row) -> Result<Known, Unreachable> {
        let mut columns = row.into_iter();
        let (user, stored, expires) =
            (columns.next().flatten(), columns.next().flatten(), columns.next().flatten());
        let expires = match expires.map(|text| instant(&text)) {
            Some(None) => return Err(Unreachable("a token's end is no date".to_owned())),
            Some(Some(end)) => Some(end),
            None => None,
        };
        let is_same = stored.is_some_and(|stored| stored.as_bytes().ct_eq(token.as_bytes()).into());
        if !is_same {
            return Ok(Known { verdict: INVALID, expires });
        }
        let verdict = match (user, &self.accounts) {
            (Some(stored), Some(accounts)) => {
                let id = accounts.id(stored).await?;
                let is_active = accounts.find(&id).await?.is_some_and(|account| account.is_active);
                if is_active { verified(Some(id))? } else { INACTIVE }
            }
            (user, _) => verified(user)?,
        };
        Ok(Known { verdict, expires })
    }

    /// Depends on the version of the toolkit, which the table's columns tell.
    async fn question(&self) -> Result<Question, Unreachable> {
        match &self.source {
            TokenSource::DjangoRestFramework => {
                let table = table(DRF_TOKENS);
                self.database.columns(&table).await?;
                let sql = format!(
                    "select cast(user_id as text), cast(key as text), null from {} where key = $1",
                    table.quoted()
                );
                Ok(Question { sql, argument: Argument::Token })
            }
            TokenSource::OauthToolkit => {
                let table = table(OAUTH_TOKENS);
                let has_checksum = self.database.columns(&table).await?.has(OAUTH_CHECKSUM);
                let (column, argument) = if has_checksum {
                    (OAUTH_CHECKSUM, Argument::Checksum)
                } else {
                    ("token", Argument::Token)
                };
                let expires = self.database.instant_sql("expires");
                let sql = format!(
                    "select cast(user_id as text), cast(token as text), {expires} from {} where {column} = $1",
                    table.quoted()
                );
                Ok(Question { sql, argument })
            }
            TokenSource::Query { sql, .. } => {
                let sql =
                    format!("with found(user_id) as ({sql}) select cast(user_id as text) from found limit 2");
                Ok(Question { sql, argument: Argument::Token })
            }
        }
    }
}

/// A token of no user is good, and says nothing of who it is.
fn verified(user: Option<String>) -> Result<TokenVerdict, Unreachable> {
    let user = user.map(UserId::new).transpose();
    user.map(TokenVerdict::Verified).map_err(|_| Unreachable("a token's user id is no user id".to_owned()))
}

fn table(name: &str) -> TableName {
    name.parse().expect("a plain name")
}
