//! `GET /`: a page that shows the client at work, where the operator has one.
//!
//! It is the same for everybody and shows only what its own browser has sent. Its policy
//! names its own scripts and styles by their digests: nothing else runs.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};
use warp::reply::Response;

use super::reply::{self, CROSS_ORIGIN_RESOURCE_POLICY, NOSNIFF, Outcome, SAME_ORIGIN};
use crate::config::BasePath;

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

#[derive(Clone, Debug)]
pub(super) struct Welcome {
    page: String,
    policy: HeaderValue,
}

impl Welcome {
    /// `template` names the base path as `{base}`.
    pub(super) fn new(template: &str, base: &BasePath) -> Self {
        let page = template.replace("{base}", base.as_str());
        let (scripts, styles) = (digests(&page, "script"), digests(&page, "style"));
        let policy = format!(
            "default-src 'none'; script-src 'self'{scripts}; style-src{styles}; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self { page, policy: HeaderValue::try_from(policy).expect("digests are visible ASCII") }
    }

    pub(super) fn answer(&self, method: &Method) -> Response {
        match *method {
            Method::GET | Method::HEAD => {
                let mut response = Response::new(self.page.clone().into());
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
                headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
                headers.insert(REFERRER_POLICY, SAME_ORIGIN);
                headers.insert(CROSS_ORIGIN_OPENER_POLICY, SAME_ORIGIN);
                headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, SAME_ORIGIN);
                response
            }
            Method::OPTIONS => reply::options("GET, HEAD, OPTIONS"),
            _ => Outcome::MethodNotAllowed { allow: "GET, HEAD, OPTIONS" }.into_response(),
        }
    }
}

/// The sources of a policy that allow these elements of the page, each after a space.
fn digests(page: &str, element: &str) -> String {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let contents = page.split(&begin).skip(1).filter_map(|rest| rest.split(&end).next());
    contents.map(|text| format!(" 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_what_the_page_holds() {
        let page = "<style>a{}</style><script src=x></script><script>1</script><script>{base}</script>";
        let welcome = Welcome::new(page, &BasePath::default());
        let policy = welcome.policy.to_str().expect("visible ASCII");
        // As `printf %s 1 | openssl dgst -sha256 -binary | base64` says.
        assert!(policy.contains("'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"), "{policy}");
        assert_eq!(policy.matches("sha256-").count(), 3, "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
