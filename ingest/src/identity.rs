//! Who sent a log request: the verified user, the browser session, the origin.
//!
//! Three questions. [`Chain`] says which user it is and which session of the
//! site, by what the site itself vouches for, and never takes the payload's word
//! for it. Where the site knows of no session, [`Sessions`] says which one it is,
//! by a signed cookie of ours. [`OriginRule`] says whether the page that sent it
//! may use the cookies that came along. [`IdentityDigests`] tells the sender's
//! browser apart from whoever used it before.
//!
//! The chain asks, each if it is configured: [`django_session`], [`site`],
//! [`authorization`] (tokens, in whatever way they are verified) and
//! [`forwarded_user`]. Whoever must ask a database or a site does it through
//! [`look_up`].

mod accounts;
pub mod authenticator;
mod authorization;
mod chain;
mod config;
mod cookie_header;
mod database;
pub mod digest;
mod django_session;
mod forwarded_user;
mod json_web_token;
mod look_up;
pub mod origin;
pub mod session_cookie;
mod site;
mod token_look_up;
mod web_client;

pub use accounts::AccountsConfig;
pub use authenticator::{
    AnonymousOnly, Authenticator, BegunSession, Identity, IdentityError, RequestCredentials, SiteSession,
};
pub use chain::{Chain, Finding};
pub use config::{IdentityConfig, InvalidIdentityConfig, TokenConfig};
pub use database::{IdentityDatabase, InvalidDatabase, TableName};
pub use digest::{IdentityDigest, IdentityDigests};
pub use django_session::{CsrfRule, DjangoConfig};
pub use json_web_token::{
    GivenKeys, JwtAlgorithm, JwtConfig, JwtKeys, JwtPreset, KeySetPlace, LEEWAY_DEFAULT,
};
pub use look_up::{LookUpConfig, Unreachable};
pub use origin::{AllowedOrigins, InvalidOrigin, OriginRule, OriginVerdict};
pub use session_cookie::{
    InvalidSessionConfig, PresentedSession, ResolvedSession, SameSite, SessionConfig, Sessions,
};
pub use site::{ShownCookies, SiteConfig, SiteUrl};
pub use token_look_up::TokenSource;

#[cfg(test)]
pub(crate) mod tests {
    use chrono::DateTime;
    use http::{HeaderMap, Method};

    use std::time::Duration;

    use shared::secret::Secret;

    use super::authenticator::PeerTrust;
    use super::{OriginVerdict, RequestCredentials, SameSite, SessionConfig};
    use crate::http::client_address::Https;

    /// A log request with these headers, from nobody in particular.
    pub(crate) fn credentials(headers: &HeaderMap) -> RequestCredentials<'_> {
        RequestCredentials {
            method: &Method::POST,
            headers,
            peer: PeerTrust::Untrusted,
            origin: OriginVerdict::NotABrowser,
            https: Https::No,
            host: None,
            form: None,
            now: DateTime::UNIX_EPOCH,
        }
    }

    /// The settings of a cookie of ours, by a key that signs nothing.
    pub(crate) fn cookie() -> SessionConfig {
        SessionConfig {
            secret_key: Secret::new(""),
            fallbacks: Vec::new(),
            cookie_name: "djaffar_session".to_owned(),
            domain: None,
            same_site: SameSite::Lax,
            age: Duration::from_secs(60),
            expire_at_browser_close: false,
        }
    }
}
