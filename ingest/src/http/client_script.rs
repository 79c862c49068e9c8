//! `GET {base}/djaffar.js`: the browser client, from the binary.
//!
//! The committed script is what `client/` builds to: held by `npm run check`, which
//! `tests/run` runs.

use std::fmt::Write;

use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use warp::reply::Response;

use super::reply::{CROSS_ORIGIN, CROSS_ORIGIN_RESOURCE_POLICY, NOSNIFF};

const SCRIPT: &[u8] = include_bytes!("../../../client/dist/djaffar.js");
/// Of the version, in hexadecimal digits: told apart from any other build's.
const VERSION_BYTES: usize = 8;
/// A new release reaches every visitor within this time.
const PLAIN: HeaderValue = HeaderValue::from_static("public, max-age=300, stale-while-revalidate=86400");
/// For a URL whose content never changes.
const VERSIONED: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The script and what its URL and validator are called.
#[derive(Clone, Debug)]
pub(super) struct ClientScript {
    version: String,
    etag: HeaderValue,
}

impl ClientScript {
    pub(super) fn new() -> Self {
        let digest = Sha256::digest(SCRIPT);
        let mut version = String::new();
        for byte in &digest[..VERSION_BYTES] {
            write!(version, "{byte:02x}").expect("a string takes any text");
        }
        let etag = HeaderValue::from_str(&format!("\"{version}\"")).expect("digits are visible ASCII");
        Self { version, etag }
    }

    /// The answer to GET; `query` names the version that the page expects, as `v=`.
    pub(super) fn answer(&self, request: &HeaderMap, query: &str) -> Response {
        if request.get_all(IF_NONE_MATCH).iter().any(|tags| self.is_named_in(tags)) {
            let mut response = self.headers(query);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let mut response = self.headers(query).map(|_| SCRIPT.into());
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        response
    }

    fn headers(&self, query: &str) -> Response {
        // Another version than ours may be another server's: what it gets here must not stay for ever.
        let is_ours = query.split('&').any(|pair| pair.strip_prefix("v=") == Some(&*self.version));
        let mut response = Response::default();
        let headers = response.headers_mut();
        headers.insert(ETAG, self.etag.clone());
        headers.insert(CACHE_CONTROL, if is_ours { VERSIONED } else { PLAIN });
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        // Public code: any site may embed it, with `integrity` and under a COEP too.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, CROSS_ORIGIN);
        response
    }

    /// Weak comparison (RFC 9110, 13.1.2): a proxy that compresses weakens the tag.
    fn is_named_in(&self, tags: &HeaderValue) -> bool {
        let Ok(tags) = tags.to_str() else { return false };
        tags.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_with(tags: &str) -> HeaderMap {
        [(IF_NONE_MATCH, HeaderValue::from_str(tags).expect("visible ASCII"))].into_iter().collect()
    }

    #[test]
    fn a_plain_url_is_cached_briefly_and_a_versioned_one_for_ever() {
        let script = ClientScript::new();
        let control = |query: &str| script.answer(&HeaderMap::new(), query).headers()[CACHE_CONTROL].clone();
        assert_eq!(control(&format!("v={}", script.version)), VERSIONED);
        assert_eq!(control(&format!("a=b&v={}", script.version)), VERSIONED);
        for query in ["", "v=", "v=0000000000000000", &script.version] {
            assert_eq!(control(query), PLAIN, "{query}");
        }
    }

    #[test]
    fn a_browser_that_has_it_gets_no_body() {
        let script = ClientScript::new();
        let tag = script.etag.to_str().expect("visible ASCII");
        for tags in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let response = script.answer(&asked_with(&tags), "");
            assert_eq!(response.status(), 304, "{tags}");
            assert_eq!(response.headers()[ETAG], script.etag);
            assert!(!response.headers().contains_key(CONTENT_TYPE));
        }
        for tags in ["\"other\"", "", &script.version] {
            assert_eq!(script.answer(&asked_with(tags), "").status(), 200, "{tags}");
        }
    }
}
