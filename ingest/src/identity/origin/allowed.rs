//! `--allowed-origins`: the other origins whose pages may send with cookies.

use std::str::FromStr;

use super::origin_text::OriginText;

/// Origins as browsers write them; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<String>);

/// Why the setting is refused: one sentence with its name and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--allowed-origins: {0}")]
pub struct InvalidOrigin(String);

impl AllowedOrigins {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the value of an `Origin` header names an allowed origin; scheme, host and port count.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        let Some(origin) = std::str::from_utf8(origin).ok().and_then(OriginText::parse) else {
            return false;
        };
        self.allows_origin(origin)
    }

    pub(super) fn allows_origin(&self, origin: OriginText<'_>) -> bool {
        self.0.iter().filter_map(|allowed| OriginText::parse(allowed)).any(|allowed| allowed.equals(origin))
    }
}

/// A list with commas: `https://example.com,https://shop.example.com:8443`.
impl FromStr for AllowedOrigins {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| check(item).map(|()| item.to_owned())).collect::<Result<_, _>>().map(Self)
    }
}

fn check(item: &str) -> Result<(), InvalidOrigin> {
    let refused = |sentence: String| Err(InvalidOrigin(sentence));
    if item.contains('*') {
        return refused(format!(
            "`{item}` would let strangers' pages use the visitors' cookies; name each origin, \
             such as `https://example.com`"
        ));
    }
    if item.eq_ignore_ascii_case("null") {
        return refused(
            "`null` stands for any sandboxed page and cannot be allowed; name the origins".to_owned(),
        );
    }
    let Some((scheme, rest)) = item.split_once("://") else {
        return refused(format!("`{item}` lacks its scheme; write `https://{item}`"));
    };
    if !item.is_ascii() {
        return refused(format!("`{item}` must be written as browsers send it, in Punycode (`xn--...`)"));
    }
    if rest.contains('@') {
        return refused(
            "an origin has no user name or password; leave out what stands before the `@`".to_owned(),
        );
    }
    if let Some(end) = rest.find(['/', '?', '#']) {
        let origin = &rest[..end];
        return refused(format!("an origin ends with its host or port; write `{scheme}://{origin}`"));
    }
    match OriginText::parse(item) {
        Some(_) => Ok(()),
        None => {
            refused(format!("`{item}` is not an origin such as `https://example.com` or `http://[::1]:8000`"))
        }
    }
}
