//! Django's own sessions: the `sessionid` cookie, verified as Django would.
//!
//! Rule of safety: a cookie names a user only when the session's row is alive,
//! its data bears Django's signature, the user is active and has still the
//! password that the session was made with. Anything less is anonymous; a
//! database that cannot be asked is 503. No `sessionid` is ever set over one
//! that the browser has sent: an answer that races a log-in must never undo it.
//! Held by the tests below and by `tests/django` against the real Django.

mod begin;
mod csrf;
mod session_data;
mod signing;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use shared::event::{SessionId, UserId};

use self::begin::Beginner;
use self::csrf::Csrf;
pub use self::csrf::CsrfRule;
use self::session_data::{Login, SessionData};
use self::signing::Signer;
use self::table::SessionTable;
use super::accounts::Accounts;
use super::authenticator::{BegunSession, Identity, IdentityError, RequestCredentials, SiteSession};
use super::cookie_header;
use super::database::{IdentityDatabase, TableName};
use super::look_up::{LookUpConfig, Remembered, Unreachable};
use super::origin::{OriginRule, OriginVerdict};
use super::session_cookie::SessionConfig;
use shared::secret::Secret;

/// `django_session.session_key` is a varchar(40); Django refuses keys of fewer than 8 characters.
const KEY_BYTES_MAX: usize = 40;
const KEY_BYTES_MIN: usize = 8;

#[derive(Clone, Debug)]
pub struct DjangoConfig {
    /// Where Django keeps its sessions.
    pub database: IdentityDatabase,
    /// `SECRET_KEY`.
    pub secret_key: Secret,
    /// `SECRET_KEY_FALLBACKS`.
    pub secret_key_fallbacks: Vec<Secret>,
    /// `SESSION_COOKIE_NAME`.
    pub session_cookie_name: String,
    pub session_table: TableName,
    /// The class of the session store, which salts the signatures.
    pub session_class: String,
    /// `AUTHENTICATION_BACKENDS`.
    pub backends: Vec<String>,
    pub csrf: CsrfRule,
    /// `CSRF_COOKIE_NAME`.
    pub csrf_cookie_name: String,
    /// Sessions begun for new visitors, a second; with 0 none ever is.
    pub begun_per_second_max: u32,
}

/// A session whose row was alive when it was looked up.
#[derive(Debug)]
struct LiveSession {
    id: SessionId,
    user: Option<UserId>,
    /// Where Django keeps it with `CSRF_USE_SESSIONS`.
    csrf_secret: Option<String>,
    expires: DateTime<Utc>,
}

pub(crate) struct DjangoSessions {
    cookie_name: String,
    backends: Vec<String>,
    signer: Signer,
    password_signer: Signer,
    table: SessionTable,
    accounts: Arc<Accounts>,
    csrf: Csrf,
    beginner: Option<Beginner>,
    known: Remembered<SessionKey, Option<Arc<LiveSession>>>,
    database: IdentityDatabase,
}

impl DjangoSessions {
    /// `cookie` says how a begun session's cookie is set; its name is Django's.
    pub(crate) fn new(
        config: &DjangoConfig,
        accounts: Arc<Accounts>,
        origins: OriginRule,
        cookie: &SessionConfig,
        look_up: &LookUpConfig,
    ) -> Self {
        let signer = |salt: &str| Signer::new(salt, &config.secret_key, &config.secret_key_fallbacks);
        let table = SessionTable::new(config.database.clone(), config.session_table.clone());
        let sessions = signer(&format!("django.contrib.sessions.{}signer", config.session_class));
        let cookie = SessionConfig { cookie_name: config.session_cookie_name.clone(), ..cookie.clone() };
        Self {
            cookie_name: config.session_cookie_name.clone(),
            backends: config.backends.clone(),
            beginner: Beginner::start(
                config.begun_per_second_max,
                &cookie,
                sessions.clone(),
                table.clone(),
                look_up,
            ),
            signer: sessions,
            password_signer: signer("django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"),
            table,
            accounts,
            csrf: Csrf::new(config.csrf, config.csrf_cookie_name.clone(), origins),
            known: Remembered::new("django_session", look_up),
            database: config.database.clone(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        format!("Django sessions (cookie `{}`) in {}", self.cookie_name, self.database.name())
    }

    /// Reads both tables.
    pub(crate) async fn probe(&self) -> Result<String, Unreachable> {
        self.table.find("djaffar-check").await?;
        self.accounts.probe().await?;
        Ok("the tables of sessions and users can be read".to_owned())
    }

    pub(crate) async fn authenticate(
        &self,
        request: &RequestCredentials<'_>,
    ) -> Result<Identity, IdentityError> {
        let key = match presented(request.headers, &self.cookie_name) {
            Presented::Absent => return Ok(Identity { user: None, session: SiteSession::Absent }),
            Presented::Impossible => return Ok(Identity::ANONYMOUS),
            Presented::Key(key) => key,
        };
        let found = self.known.get(&key, || self.find(key)).await?;
        let Some(session) = found.filter(|session| session.expires > request.now) else {
            return Ok(Identity::ANONYMOUS);
        };
        if request.origin == OriginVerdict::Foreign {
            return Err(IdentityError::ForeignOrigin);
        }
        if session.user.is_some() {
            self.csrf.check(request, session.csrf_secret.as_deref())?;
        }
        Ok(Identity { user: session.user.clone(), session: SiteSession::Live(session.id.clone()) })
    }

    /// `None` when too many were begun of late, or none shall be.
    pub(crate) async fn begin(
        &self,
        request: &RequestCredentials<'_>,
    ) -> Result<Option<BegunSession>, IdentityError> {
        match &self.beginner {
            Some(beginner) => Ok(beginner.begin(request.now, request.https).await?),
            None => Ok(None),
        }
    }

    async fn find(&self, key: SessionKey) -> Result<Option<Arc<LiveSession>>, Unreachable> {
        let Some(row) = self.table.find(key.as_str()).await? else { return Ok(None) };
        let Ok(id) = SessionId::new(key.as_str()) else { return Ok(None) };
        // Data that does not verify is an empty session to Django: alive, and nobody's.
        let data = session_data::decode(&row.data, &self.signer).unwrap_or_default();
        let SessionData { login, csrf_secret } = data;
        let user = match login {
            Some(login) => self.user(login).await?,
            None => None,
        };
        Ok(Some(Arc::new(LiveSession { id, user, csrf_secret, expires: row.expires })))
    }

    async fn user(&self, login: Login) -> Result<Option<UserId>, Unreachable> {
        if !self.backends.contains(&login.backend) {
            return Ok(None);
        }
        let account = self.accounts.find(&login.user).await?;
        let is_logged_in = account.is_some_and(|account| {
            account.is_active && self.password_signer.verifies_hex(account.password.as_bytes(), &login.hash)
        });
        Ok(if is_logged_in { UserId::new(login.user).ok() } else { None })
    }
}

/// What a request says of Django's session.
enum Presented {
    /// No cookie of that name.
    Absent,
    /// One that Django could not have set.
    Impossible,
    Key(SessionKey),
}

/// Of several cookies of one name, Django reads the last.
fn presented(headers: &HeaderMap, cookie_name: &str) -> Presented {
    match cookie_header::values(headers, cookie_name).last() {
        None => Presented::Absent,
        Some(value) => SessionKey::new(value).map_or(Presented::Impossible, Presented::Key),
    }
}

/// A session key as it came, zeros after it. Never printed: it is a credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct SessionKey([u8; KEY_BYTES_MAX]);

impl SessionKey {
    fn new(value: &[u8]) -> Option<Self> {
        let fits = (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&value.len());
        if !fits || !value.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut key = [0; KEY_BYTES_MAX];
        key[..value.len()].copy_from_slice(value);
        Some(Self(key))
    }

    fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(KEY_BYTES_MAX);
        std::str::from_utf8(&self.0[..length]).expect("graphic ASCII")
    }
}
