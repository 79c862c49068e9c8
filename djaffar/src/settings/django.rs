//! A Django site whose sessions and users are believed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ingest::identity::{CsrfRule, TableName};
use shared::secret::Secret;

use super::{cookie_name, twin};
use crate::failure::Failure;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Django")]
pub(crate) struct DjangoSettings {
    /// The site's database, `postgres://user@host/name` or `sqlite:PATH`: its users, sessions and tokens
    #[arg(long, value_name = "URL", value_parser = super::secret)]
    django_database: Option<Secret>,
    /// File that holds the value of --django-database
    #[arg(long, value_name = "FILE")]
    django_database_file: Option<PathBuf>,
    /// The site's SECRET_KEY: turns on the look-up of its `sessionid` cookie
    #[arg(long, value_name = "KEY", value_parser = super::secret)]
    django_secret_key: Option<Secret>,
    /// File that holds the value of --django-secret-key
    #[arg(long, value_name = "FILE")]
    django_secret_key_file: Option<PathBuf>,
    /// The site's SECRET_KEY_FALLBACKS, divided by commas
    #[arg(long, value_name = "KEY,...", value_parser = super::secret)]
    django_secret_key_fallbacks: Option<Secret>,
    /// File that holds the value of --django-secret-key-fallbacks, one key a line
    #[arg(long, value_name = "FILE")]
    django_secret_key_fallbacks_file: Option<PathBuf>,
    /// The site's SESSION_COOKIE_NAME
    #[arg(long, value_name = "NAME", default_value = "sessionid", value_parser = cookie_name)]
    pub(crate) django_session_cookie_name: String,
    /// Table of the site's sessions
    #[arg(long, value_name = "TABLE", default_value = "django_session")]
    pub(crate) django_session_table: TableName,
    /// Class of the site's session store; a subclass of another name signs otherwise
    #[arg(long, value_name = "CLASS", default_value = "SessionStore")]
    pub(crate) django_session_class: String,
    /// Table of the site's users, for a user model of its own
    #[arg(long, value_name = "TABLE", default_value = "auth_user")]
    pub(crate) django_user_table: TableName,
    /// Primary key of that table
    #[arg(long, value_name = "COLUMN", default_value = "id", value_parser = column)]
    pub(crate) django_user_key: String,
    /// The site's AUTHENTICATION_BACKENDS, divided by commas: a session of another one names nobody
    #[arg(
        long,
        value_name = "CLASS,...",
        value_delimiter = ',',
        default_value = "django.contrib.auth.backends.ModelBackend"
    )]
    pub(crate) django_auth_backends: Vec<String>,
    /// What proves that a logged-in user's request comes from the site: the browser's word or a token, or always a token
    #[arg(long, value_name = "RULE", default_value = "same-origin")]
    django_csrf: Csrf,
    /// The site's CSRF_COOKIE_NAME
    #[arg(long, value_name = "NAME", default_value = "csrftoken", value_parser = cookie_name)]
    pub(crate) django_csrf_cookie_name: String,
    /// Sessions that may be begun in the site's table for visitors without any, a second; 0 begins none
    #[arg(long, value_name = "COUNT", default_value = "100")]
    pub(crate) django_sessions_per_second: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Csrf {
    SameOrigin,
    Strict,
}

impl DjangoSettings {
    pub(crate) fn database(&self) -> Result<Option<Secret>, Failure> {
        let (direct, file) = (self.django_database.as_ref(), self.django_database_file.as_deref());
        twin::resolve("django-database", direct, file)
    }

    pub(crate) fn secret_key(&self) -> Result<Option<Secret>, Failure> {
        let (direct, file) = (self.django_secret_key.as_ref(), self.django_secret_key_file.as_deref());
        twin::resolve("django-secret-key", direct, file)
    }

    pub(crate) fn secret_key_fallbacks(&self) -> Result<Vec<Secret>, Failure> {
        let file = self.django_secret_key_fallbacks_file.as_deref();
        twin::list("django-secret-key-fallbacks", self.django_secret_key_fallbacks.as_ref(), file)
    }

    pub(crate) fn csrf(&self) -> CsrfRule {
        match self.django_csrf {
            Csrf::SameOrigin => CsrfRule::SameOrigin,
            Csrf::Strict => CsrfRule::Strict,
        }
    }
}

fn column(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !text.is_empty() && text.len() <= 63 && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("a column is a name of letters, digits and _".to_owned())
}
