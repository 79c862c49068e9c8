//! CORS: which other origins' pages may read the answers, with credentials.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};
use warp::reply::Response;

use super::reply;
use crate::identity::AllowedOrigins;

/// Browsers keep a preflight's answer so long; Chrome no longer than this.
const PREFLIGHT_SECONDS: &str = "7200";

#[derive(Clone, Debug)]
pub(super) struct Cors {
    allowed: AllowedOrigins,
}

impl Cors {
    pub(super) fn new(allowed: AllowedOrigins) -> Self {
        Self { allowed }
    }

    /// Lets an allowed origin read the answer, an error too.
    pub(super) fn allow(&self, request: &HeaderMap, response: &mut Response) -> Allowed {
        if self.allowed.is_empty() {
            return Allowed::No;
        }
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = request.get(ORIGIN).filter(|origin| self.allowed.allows(origin.as_bytes())) else {
            return Allowed::No;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        let exposed = HeaderValue::from_static("djaffar-identity, retry-after, x-request-id");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        Allowed::Yes
    }

    /// Answers `OPTIONS` on a route that takes `POST`.
    pub(super) fn preflight(&self, request: &HeaderMap) -> Response {
        let mut response = reply::options("POST, OPTIONS");
        let allowed = self.allow(request, &mut response);
        if allowed == Allowed::Yes && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            let names = "authorization, content-encoding, content-type, x-djaffar-debug";
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
        }
        response
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors() -> Cors {
        Cors::new("https://shop.example.com".parse().expect("an origin"))
    }

    fn from(origin: &'static str) -> HeaderMap {
        [(ORIGIN, origin), (ACCESS_CONTROL_REQUEST_METHOD, "POST")]
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .into_iter()
            .collect()
    }

    #[test]
    fn an_allowed_origin_may_read_the_answer_with_credentials() {
        let response = cors().preflight(&from("https://shop.example.com"));
        let headers = response.headers();
        assert_eq!(response.status(), 204);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example.com");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(headers[VARY], "origin");
    }

    #[test]
    fn nobody_else_may() {
        for origin in ["null", "https://example.com", "http://shop.example.com", "*"] {
            let response = cors().preflight(&from(origin));
            assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
            assert_eq!(response.headers()[VARY], "origin");
        }
        let same_origin_only = Cors::new(AllowedOrigins::default());
        let response = same_origin_only.preflight(&from("https://shop.example.com"));
        assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
