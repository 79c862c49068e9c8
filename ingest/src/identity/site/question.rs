//! What of a visitor's request the site is shown, and what makes two questions the same.

use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, ORIGIN, REFERER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use sha2::{Digest, Sha256};

use super::super::authenticator::RequestCredentials;
use super::super::django_session::CsrfRule;
use super::super::origin::OriginVerdict;
use crate::http::client_address::Https;

const X_CSRFTOKEN: HeaderName = HeaderName::from_static("x-csrftoken");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const CSRF_FIELD: &str = "csrfmiddlewaretoken";
/// No token of Django's is longer than 64.
const CSRF_TOKEN_BYTES_MAX: usize = 128;

/// `--auth-cookies`: the cookies that the site is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ShownCookies {
    /// All but our own session's.
    #[default]
    All,
    Named(Vec<String>),
}

#[derive(Debug)]
pub(super) struct Question {
    method: Method,
    headers: HeaderMap,
}

/// Whether the `Authorization` header is one for the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForTheSite {
    Yes,
    /// A verifier of ours claims its scheme.
    No,
}

impl Question {
    /// `None` where nothing in the request could identify somebody to the site.
    pub(super) fn new(
        request: &RequestCredentials<'_>,
        authorization: ForTheSite,
        cookies: &ShownCookies,
        own_cookie: &str,
        csrf: CsrfRule,
    ) -> Option<Self> {
        let mut headers = HeaderMap::new();
        if authorization == ForTheSite::Yes {
            for value in request.headers.get_all(AUTHORIZATION) {
                headers.append(AUTHORIZATION, value.clone());
            }
        }
        // A foreign page that has a token of its own shall not use the visitor's cookies besides.
        let shows_cookies =
            request.origin != OriginVerdict::Foreign || !request.headers.contains_key(AUTHORIZATION);
        if shows_cookies && let Some(cookie) = cookie(request.headers, cookies, own_cookie) {
            headers.insert(COOKIE, cookie);
        }
        if headers.is_empty() {
            return None;
        }
        let is_proven = matches!(request.origin, OriginVerdict::Own | OriginVerdict::Allowed);
        let method = if is_proven && csrf == CsrfRule::SameOrigin { Method::GET } else { Method::POST };
        copy_surroundings(request, &mut headers);
        if method == Method::POST
            && let Some(token) = csrf_token(request)
        {
            headers.insert(X_CSRFTOKEN, token);
        }
        Some(Self { method, headers })
    }

    /// One that shows nobody's credentials.
    pub(super) fn of_nobody() -> Self {
        Self { method: Method::GET, headers: HeaderMap::new() }
    }

    pub(super) fn has_authorization(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }

    /// The same for all requests that show the same, and for no others.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        add(self.method.as_str().as_bytes());
        for (name, value) in &self.headers {
            add(name.as_str().as_bytes());
            add(value.as_bytes());
        }
        digest.finalize().into()
    }

    pub(super) fn into_request(self, url: &Uri, key: Option<&HeaderValue>) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = self.headers;
        // Said, because some servers insist on it.
        if request.method() == Method::POST {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(key) = key {
            request.headers_mut().insert(HeaderName::from_static("djaffar-key"), key.clone());
        }
        request
    }
}

/// What the site needs to judge the visitor's origin as if he had asked it himself.
fn copy_surroundings(request: &RequestCredentials<'_>, headers: &mut HeaderMap) {
    for value in request.headers.get_all(ORIGIN) {
        headers.append(ORIGIN, value.clone());
    }
    // Without its path, or each page would be a question of its own.
    if let Some(origin) = request.headers.get(REFERER).and_then(referer_origin) {
        headers.insert(REFERER, origin);
    }
    if let Some(host) = request.host.and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.insert(HOST, host.clone());
        headers.insert(X_FORWARDED_HOST, host);
    }
    let scheme = if request.https == Https::Yes { "https" } else { "http" };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
}

fn referer_origin(referer: &HeaderValue) -> Option<HeaderValue> {
    let text = referer.to_str().ok()?;
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    HeaderValue::try_from(format!("{scheme}://{host}/")).ok()
}

fn cookie(headers: &HeaderMap, shown: &ShownCookies, own: &str) -> Option<HeaderValue> {
    let mut bytes = Vec::new();
    let lines = headers.get_all(COOKIE).into_iter();
    for pair in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')) {
        let pair = pair.trim_ascii();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        let name = pair[..equals].trim_ascii();
        let is_shown = match shown {
            ShownCookies::All => name != own.as_bytes(),
            ShownCookies::Named(names) => names.iter().any(|shown| shown.as_bytes() == name),
        };
        if is_shown {
            bytes.extend_from_slice(if bytes.is_empty() { b"" } else { b"; " });
            bytes.extend_from_slice(pair);
        }
    }
    (!bytes.is_empty()).then(|| HeaderValue::from_bytes(&bytes).expect("parts of header values"))
}

/// From the form, as Django looks there first, else from the header.
fn csrf_token(request: &RequestCredentials<'_>) -> Option<HeaderValue> {
    let field = request.form.and_then(|form| form.field(CSRF_FIELD));
    let field = field.filter(|token| !token.is_empty() && token.len() <= CSRF_TOKEN_BYTES_MAX);
    field
        .and_then(|token| HeaderValue::from_str(&token).ok())
        .or_else(|| request.headers.get(X_CSRFTOKEN).cloned())
}
