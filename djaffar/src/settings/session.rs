//! The session cookie.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use shared::secret::Secret;

use super::duration::Span;
use super::{cookie_name, twin};
use crate::failure::Failure;

const KEY_CHARACTERS_MIN: usize = 32;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Session")]
pub(crate) struct SessionSettings {
    /// Key that signs session cookies, 32 characters or more, the same on all replicas [default: generated in the data directory by `serve`]
    #[arg(long, value_name = "KEY", value_parser = super::secret)]
    secret_key: Option<Secret>,
    /// File that holds the value of --secret-key
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// Older or coming keys that verify but never sign, divided by commas
    #[arg(long, value_name = "KEY,...", value_parser = super::secret)]
    secret_key_fallbacks: Option<Secret>,
    /// File that holds the value of --secret-key-fallbacks, one key a line
    #[arg(long, value_name = "FILE")]
    secret_key_fallbacks_file: Option<PathBuf>,
    /// Name of the cookie
    #[arg(long, value_name = "NAME", default_value = "djaffar_session", value_parser = cookie_name)]
    pub(crate) session_cookie_name: String,
    /// Domain that shares the cookie with its subdomains [default: the answering host alone]
    #[arg(long, value_name = "DOMAIN", value_parser = cookie_domain)]
    pub(crate) session_cookie_domain: Option<String>,
    /// When browsers send the cookie; `none` needs https, and is needed by cross-site --allowed-origins
    #[arg(long, value_name = "RULE", default_value = "lax")]
    pub(crate) session_cookie_samesite: SameSite,
    /// How long a session lasts after its last renewal
    #[arg(long, value_name = "TIME", default_value = "14days", value_parser = session_age)]
    pub(crate) session_age: Span,
    /// Let the cookie end with the browser, and after --session-age at the latest
    #[arg(
        long, value_name = "true|false", default_value = "false", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set,
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) session_expire_at_browser_close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SameSite {
    Lax,
    Strict,
    None,
}

impl SessionSettings {
    /// The signing key, if one is given.
    pub(crate) fn key(&self) -> Result<Option<Secret>, Failure> {
        let key = twin::resolve("secret-key", self.secret_key.as_ref(), self.secret_key_file.as_deref())?;
        key.map(|key| long_enough("secret-key", key.expose())).transpose()
    }

    pub(crate) fn fallbacks(&self) -> Result<Vec<Secret>, Failure> {
        let name = "secret-key-fallbacks";
        let file = self.secret_key_fallbacks_file.as_deref();
        let keys = twin::list(name, self.secret_key_fallbacks.as_ref(), file)?;
        keys.iter().map(|key| long_enough(name, key.expose())).collect()
    }

    /// Refuses rules that cannot work together.
    pub(crate) fn check_cookie(&self, allowed_origins: &[String]) -> Result<(), Failure> {
        let name = &self.session_cookie_name;
        if name.starts_with("__Host-") && self.session_cookie_domain.is_some() {
            return Err(Failure::misconfigured(
                "session-cookie-name begins with __Host-, which browsers refuse beside session-cookie-domain; \
                 remove one of them",
            ));
        }
        if self.session_cookie_samesite == SameSite::None {
            return if allowed_origins.is_empty() {
                Err(Failure::misconfigured(
                    "session-cookie-samesite is none, but no other site may log; name the sites in \
                     allowed-origins or use lax",
                ))
            } else {
                Ok(())
            };
        }
        let cross_site = |origin: &&String| {
            self.session_cookie_domain.as_ref().is_some_and(|domain| !is_within(origin, domain))
        };
        match allowed_origins.iter().find(cross_site) {
            Some(origin) => Err(Failure::misconfigured(format!(
                "allowed-origins holds {origin}, which is another site than session-cookie-domain; browsers send \
                 the cookie across sites only with session-cookie-samesite none"
            ))),
            None => Ok(()),
        }
    }
}

fn is_within(origin: &str, domain: &str) -> bool {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn long_enough(name: &str, key: &str) -> Result<Secret, Failure> {
    let characters = key.chars().count();
    if characters >= KEY_CHARACTERS_MIN {
        return Ok(Secret::new(key));
    }
    Err(Failure::misconfigured(format!(
        "{name} holds a key of {characters} characters; use {KEY_CHARACTERS_MIN} or more, such as the output of \
         `openssl rand -hex 32`"
    )))
}

fn cookie_domain(text: &str) -> Result<String, String> {
    let domain = text.trim_start_matches('.').to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    if domain.bytes().all(allowed) && !domain.is_empty() && domain.parse::<std::net::IpAddr>().is_err() {
        return Ok(domain);
    }
    Err("a cookie domain is a host name, such as shop.example".to_owned())
}

fn session_age(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    let most = Span::seconds(400 * 24 * 60 * 60);
    if span < Span::seconds(60) || span > most {
        return Err("must be from 60s to 400days, the longest that browsers keep a cookie".to_owned());
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subdomains_are_the_same_site() {
        assert!(is_within("https://shop.example", "shop.example"));
        assert!(is_within("https://www.shop.example:8443", "shop.example"));
        assert!(!is_within("https://myshop.example", "shop.example"));
    }

    #[test]
    fn keys_count_characters() {
        assert!(long_enough("secret-key", &"é".repeat(32)).is_ok());
        let error = long_enough("secret-key", "hunter2").unwrap_err().to_string();
        assert!(error.contains("7 characters") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn cookie_names_domains_and_ages() {
        assert!(cookie_name("a b").is_err());
        assert_eq!(cookie_domain(".Shop.Example").unwrap(), "shop.example");
        assert!(cookie_domain("127.0.0.1").is_err());
        assert!(session_age("30s").is_err());
        assert!(session_age("401days").is_err());
    }
}
