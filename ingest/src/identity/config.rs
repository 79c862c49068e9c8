//! What the operator decides about users. Contradictions stop the start.

use http::HeaderName;

use super::accounts::AccountsConfig;
use super::database::IdentityDatabase;
use super::django_session::DjangoConfig;
use super::forwarded_user::ForwardedUser;
use super::json_web_token::JwtConfig;
use super::look_up::LookUpConfig;
use super::session_cookie::SessionConfig;
use super::site::{ShownCookies, SiteConfig, key_header};
use super::token_look_up::TokenSource;
use crate::http::client_address::TrustedProxies;

/// Who is asked; nobody by default.
#[derive(Clone, Debug, Default)]
pub struct IdentityConfig {
    /// Django's users: sessions and the presets of tokens take only active ones.
    pub accounts: Option<AccountsConfig>,
    /// Django's sessions; needs `accounts`.
    pub django: Option<DjangoConfig>,
    pub site: Option<SiteConfig>,
    pub tokens: Vec<TokenConfig>,
    pub json_web_tokens: Option<JwtConfig>,
    /// Believed from trusted proxies alone.
    pub forwarded_user_header: Option<HeaderName>,
    pub look_up: LookUpConfig,
}

/// Tokens in a database of the site's.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    pub source: TokenSource,
    pub database: IdentityDatabase,
}

/// A setting that cannot work: one sentence with the setting's name and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidIdentityConfig(String);

impl InvalidIdentityConfig {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl IdentityConfig {
    /// Connections to the site's databases that somebody between could read.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let of_site = self.accounts.iter().map(|accounts| &accounts.database);
        let databases = of_site.chain(self.tokens.iter().map(|tokens| &tokens.database));
        let mut warnings: Vec<_> = databases.filter_map(IdentityDatabase::warning).collect();
        warnings.dedup();
        warnings
    }

    /// # Errors
    /// The first setting that is refused, as a sentence for the operator.
    pub fn check(
        &self,
        cookie: &SessionConfig,
        proxies: &TrustedProxies,
    ) -> Result<(), InvalidIdentityConfig> {
        self.check_django(cookie)?;
        self.check_site(cookie)?;
        self.check_tokens()?;
        self.json_web_tokens.as_ref().map_or(Ok(()), JwtConfig::check)?;
        self.check_forwarded_user(proxies)
    }

    fn check_django(&self, cookie: &SessionConfig) -> Result<(), InvalidIdentityConfig> {
        let Some(django) = &self.django else { return Ok(()) };
        if self.accounts.is_none() {
            return refuse(
                "--django-secret-key needs --django-database, the database that holds Django's sessions and users",
            );
        }
        if django.session_cookie_name == cookie.cookie_name {
            return refuse(format!(
                "--django-session-cookie-name and --session-cookie-name are both `{}`: Django's session and ours \
                 would overwrite each other; name ours otherwise",
                cookie.cookie_name
            ));
        }
        Ok(())
    }

    fn check_site(&self, cookie: &SessionConfig) -> Result<(), InvalidIdentityConfig> {
        let Some(site) = &self.site else { return Ok(()) };
        if site.connections_max == 0 {
            return refuse(
                "--auth-connections-max is 0, so that the site could never be asked; use 1 or more",
            );
        }
        if site.key.as_ref().is_some_and(|key| key_header(key).is_none()) {
            return refuse(
                "--auth-url-key holds characters that no header can carry; use letters and digits",
            );
        }
        if let ShownCookies::Named(names) = &site.cookies
            && names.contains(&cookie.cookie_name)
        {
            return refuse(format!(
                "--auth-cookies names `{}`, our own session's cookie, which is none of the site's; remove it",
                cookie.cookie_name
            ));
        }
        Ok(())
    }

    fn check_tokens(&self) -> Result<(), InvalidIdentityConfig> {
        for token in &self.tokens {
            if token.source.is_preset() && self.accounts.is_none() {
                return refuse(
                    "--token-preset needs --django-database, which holds the tokens and their users",
                );
            }
        }
        for (place, token) in self.tokens.iter().enumerate() {
            if self.tokens[..place].iter().any(|earlier| earlier.source == token.source) {
                return refuse("--token-preset names a preset twice; remove one of them");
            }
        }
        Ok(())
    }

    fn check_forwarded_user(&self, proxies: &TrustedProxies) -> Result<(), InvalidIdentityConfig> {
        let Some(header) = &self.forwarded_user_header else { return Ok(()) };
        if ForwardedUser::new(header.clone()).is_none() {
            return refuse(format!(
                "--forwarded-user-header is `{header}`, which has another purpose; let the proxy set one of its \
                 own, such as `X-Forwarded-User`"
            ));
        }
        if proxies.is_empty() {
            return refuse(
                "--forwarded-user-header needs --trusted-proxies: it is believed from them alone, and from \
                 nobody without them",
            );
        }
        Ok(())
    }
}

fn refuse(sentence: impl Into<String>) -> Result<(), InvalidIdentityConfig> {
    Err(InvalidIdentityConfig(sentence.into()))
}
