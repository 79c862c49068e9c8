//! Where the site answers who a visitor is.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// `http://` or `https://` with a host, and without a password: it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteUrl(Uri);

impl SiteUrl {
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for SiteUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for SiteUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri = text.parse::<Uri>().ok().filter(|uri| {
            let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
            is_web && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        });
        let advice = "must be the URL of the site's identity view, such as http://127.0.0.1:8000/djaffar/identity/, \
                      without a user name; a secret goes into --auth-url-key";
        uri.map(Self).ok_or_else(|| advice.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_asked_over_http_or_https() {
        for right in
            ["http://127.0.0.1:8000/djaffar/identity/", "https://site.example", "http://[::1]:1/a?b=c"]
        {
            assert!(right.parse::<SiteUrl>().is_ok(), "{right}");
        }
        for wrong in
            ["", "site.example", "/identity/", "ftp://a/", "http://", "http://u:p@a/", "http+unix://a/"]
        {
            assert!(wrong.parse::<SiteUrl>().is_err(), "{wrong}");
        }
    }
}
