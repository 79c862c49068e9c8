//! Which pages may send with the cookies of a visitor.
//!
//! Rule of safety: a log request that a cookie would identify counts only when
//! the page that sent it is the site's own or allowed. Browsers send form and
//! text bodies across sites without asking, so the cookie alone proves nothing.
//! Held by the tests beside this file.

mod allowed;
mod origin_text;
#[cfg(test)]
mod tests;

use http::header::{AsHeaderName, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

pub use self::allowed::{AllowedOrigins, InvalidOrigin};
use self::origin_text::{Authority, OriginText};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginVerdict {
    /// A page of this site, or the visitor's own doing (typed, bookmarked).
    Own,
    /// A page of an allowed origin.
    Allowed,
    /// Somebody else's page: whatever cookies came along are not its own.
    Foreign,
    /// No page at all.
    NotABrowser,
}

#[derive(Clone, Debug, Default)]
pub struct OriginRule {
    allowed: AllowedOrigins,
}

impl OriginRule {
    #[must_use]
    pub fn new(allowed: AllowedOrigins) -> Self {
        Self { allowed }
    }

    /// `forwarded_host` is what a trusted proxy says was asked for; `None` from anybody else.
    ///
    /// `Sec-Fetch-Site` decides when it is there, else `Origin`. Whatever is repeated or
    /// cannot be read is foreign.
    #[must_use]
    pub fn judge(&self, headers: &HeaderMap, forwarded_host: Option<&str>) -> OriginVerdict {
        let origin = single(headers, ORIGIN);
        match single(headers, SEC_FETCH_SITE) {
            Single::One(value) => match value.as_bytes() {
                b"same-origin" | b"none" => OriginVerdict::Own,
                _ => self.allowed_or_foreign(&origin),
            },
            Single::Several => self.allowed_or_foreign(&origin),
            Single::Absent => match &origin {
                Single::Absent => OriginVerdict::NotABrowser,
                Single::One(value) if is_own(value, headers, forwarded_host) => OriginVerdict::Own,
                _ => self.allowed_or_foreign(&origin),
            },
        }
    }

    /// Whether pages of this origin may send with cookies: the one that `host` serves, and the allowed ones.
    pub(crate) fn trusts(&self, origin: &str, host: Option<&str>) -> bool {
        let Some(origin) = OriginText::parse(origin) else { return false };
        let is_own = host.and_then(Authority::parse).is_some_and(|host| origin.is_served_by(host));
        is_own || self.allowed.allows_origin(origin)
    }

    fn allowed_or_foreign(&self, origin: &Single<'_>) -> OriginVerdict {
        match origin {
            Single::One(value) if self.allowed.allows(value.as_bytes()) => OriginVerdict::Allowed,
            _ => OriginVerdict::Foreign,
        }
    }
}

enum Single<'a> {
    Absent,
    One(&'a HeaderValue),
    Several,
}

fn single(headers: &HeaderMap, name: impl AsHeaderName) -> Single<'_> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Single::Absent,
        (Some(value), None) => Single::One(value),
        (Some(_), Some(_)) => Single::Several,
    }
}

fn is_own(origin: &HeaderValue, headers: &HeaderMap, forwarded_host: Option<&str>) -> bool {
    let Some(origin) = text(origin).and_then(OriginText::parse) else { return false };
    let host = match single(headers, HOST) {
        Single::One(value) => text(value),
        _ => None,
    };
    [host, forwarded_host]
        .into_iter()
        .flatten()
        .filter_map(Authority::parse)
        .any(|host| origin.is_served_by(host))
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}
