//! Asks another web server something small: no redirects, no proxies, an answer of bounded size.
//!
//! The deadline is the caller's. A kept connection that the other side has closed meanwhile is
//! replaced once: whatever is asked here may be asked twice.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use shared::tls::TlsFault;

use super::look_up::Unreachable;

/// Shorter than servers keep a connection that nobody uses.
const IDLE_TIMEOUT: Duration = Duration::from_millis(1500);

pub(crate) struct WebClient {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    answer_bytes_max: usize,
}

#[derive(Debug)]
pub(crate) struct WebAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl WebClient {
    /// Speaks TLS where `url` is https, and believes what this machine's certificates vouch for.
    ///
    /// # Errors
    /// The machine has no certificates.
    pub(crate) fn new(url: &Uri, idle_max: usize, answer_bytes_max: usize) -> Result<Self, Unreachable> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let provider = rustls::crypto::ring::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let connector = if url.scheme() == Some(&http::uri::Scheme::HTTPS) {
            let with_roots = builder.with_provider_and_native_roots(provider).map_err(|error| {
                Unreachable(format!("the certificates of this machine cannot be read: {error}"))
            })?;
            with_roots.https_only().enable_http1().wrap_connector(http)
        } else {
            let tls = rustls::ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .expect("ring knows the default versions")
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder.with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http)
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(idle_max)
            .build(connector);
        Ok(Self { client, answer_bytes_max })
    }

    pub(crate) async fn ask(&self, question: Request<()>) -> Result<WebAnswer, Unreachable> {
        let (parts, ()) = question.into_parts();
        let once = || self.client.request(Request::from_parts(parts.clone(), Empty::new()));
        let response = match once().await {
            Err(error) if !error.is_connect() => once().await,
            answer => answer,
        };
        let response = response.map_err(|error| Unreachable(reason(&error)))?;
        self.read(response).await
    }

    async fn read(&self, response: Response<hyper::body::Incoming>) -> Result<WebAnswer, Unreachable> {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, self.answer_bytes_max).collect().await.map_err(|error| {
            Unreachable(if error.is::<LengthLimitError>() {
                format!("the answer is larger than {} bytes", self.answer_bytes_max)
            } else {
                format!("the answer broke off: {error}")
            })
        })?;
        Ok(WebAnswer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

/// What is wrong with its certificate, or the innermost cause, such as `connection refused`; the outer ones name libraries.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    match TlsFault::find(error) {
        Some(fault @ TlsFault::Untrusted(_)) => {
            return format!(
                "cannot be asked: {fault}: add its authority to the certificates of the system, or name a file that \
                 holds them in the environment variable SSL_CERT_FILE"
            );
        }
        Some(fault) => return format!("cannot be asked: {fault}"),
        None => {}
    }
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("cannot be asked: {cause}")
}
