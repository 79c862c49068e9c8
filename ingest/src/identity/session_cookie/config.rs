//! The settings of the session cookie, and what makes no sense in them.

use std::time::Duration;

use shared::secret::Secret;

/// A shorter key could be guessed from one cookie.
pub const SECRET_KEY_CHARACTERS_MIN: usize = 32;
const AGE_SECONDS_MAX: u64 = u32::MAX as u64;
/// Browsers drop a cookie whose name and value are longer than 4096 bytes together.
const NAME_BYTES_MAX: usize = 256;
const DOMAIN_BYTES_MAX: usize = 253;

#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Signs; 32 characters or more, any text.
    pub secret_key: Secret,
    /// Verify only, for rotation; each as long as the key itself.
    pub fallbacks: Vec<Secret>,
    pub cookie_name: String,
    pub domain: Option<String>,
    pub same_site: SameSite,
    /// From its issue, in whole seconds.
    pub age: Duration,
    /// Without `Max-Age`; the cookie still expires by its issue time.
    pub expire_at_browser_close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    /// Always `Secure`.
    None,
}

impl SameSite {
    fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// A setting that cannot work: one sentence with the setting's name and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSessionConfig(String);

impl SessionConfig {
    pub(super) fn check(&self) -> Result<(), InvalidSessionConfig> {
        check_key("--secret-key", &self.secret_key)?;
        for fallback in &self.fallbacks {
            check_key("each of --secret-key-fallbacks", fallback)?;
        }
        check_name(&self.cookie_name)?;
        check_domain(self)?;
        let age_seconds = self.age.as_secs();
        if !(1..=AGE_SECONDS_MAX).contains(&age_seconds) {
            return Err(refusal(format!(
                "--session-age must be 1 to {AGE_SECONDS_MAX} seconds, not {age_seconds}"
            )));
        }
        Ok(())
    }

    /// Whether browsers would drop the cookie without `Secure`.
    pub(in crate::identity) fn is_always_secure(&self) -> bool {
        self.same_site == SameSite::None || self.has_prefix("__Secure-") || self.has_prefix("__Host-")
    }

    /// What stands after the cookie's value, but for `Secure`.
    pub(in crate::identity) fn attributes(&self) -> String {
        let mut attributes = String::new();
        if !self.expire_at_browser_close {
            attributes += &format!("; Max-Age={}", self.age.as_secs());
        }
        if let Some(domain) = &self.domain {
            attributes += &format!("; Domain={domain}");
        }
        attributes + "; Path=/; HttpOnly; SameSite=" + self.same_site.as_str()
    }

    /// Browsers hold a cookie of such a name to its promises, in any case.
    fn has_prefix(&self, prefix: &str) -> bool {
        self.cookie_name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

fn refusal(sentence: impl Into<String>) -> InvalidSessionConfig {
    InvalidSessionConfig(sentence.into())
}

fn check_key(setting: &str, key: &Secret) -> Result<(), InvalidSessionConfig> {
    let characters = key.expose().chars().count();
    if characters < SECRET_KEY_CHARACTERS_MIN {
        return Err(refusal(format!(
            "{setting} must have {SECRET_KEY_CHARACTERS_MIN} characters or more, not {characters}; \
             `openssl rand -hex 32` makes one"
        )));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), InvalidSessionConfig> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(token) {
        return Err(refusal(format!(
            "--session-cookie-name must be 1 to {NAME_BYTES_MAX} letters, digits, `-` or `_`"
        )));
    }
    Ok(())
}

fn check_domain(config: &SessionConfig) -> Result<(), InvalidSessionConfig> {
    let Some(domain) = &config.domain else { return Ok(()) };
    if config.has_prefix("__Host-") {
        return Err(refusal(
            "--session-cookie-domain contradicts --session-cookie-name: browsers refuse a `__Host-` cookie \
             that has a domain; leave one of them out",
        ));
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let labels = domain.strip_prefix('.').unwrap_or(domain).split('.');
    let sound = labels.clone().all(|label| !label.is_empty() && label.bytes().all(letter));
    if !sound || domain.len() > DOMAIN_BYTES_MAX {
        return Err(refusal(
            "--session-cookie-domain must be a domain name such as `example.com`, without scheme, port or path",
        ));
    }
    Ok(())
}
