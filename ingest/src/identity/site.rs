//! Asks the site itself who a visitor is: any way of authentication works that the site knows.
//!
//! Rule of safety: the site sees only what could identify the visitor and what it
//! needs to judge his origin; its word counts only where it is 200, 401 or 403 and
//! makes sense, else nobody is let through as anonymous: the request waits (503).
//! GET says that the browser has proved that a page of the site sent the request,
//! POST that the site must look for its CSRF token. What a foreign page sends with
//! a visitor's cookies never counts as his. Held by the tests beside this file and
//! by `tests/django`.

mod answer;
mod question;
#[cfg(test)]
mod tests;
mod url;

use http::HeaderValue;
use shared::secret::Secret;
use tokio::sync::Semaphore;

use self::answer::SiteAnswer;
pub(crate) use self::question::ForTheSite;
use self::question::Question;
pub use self::question::ShownCookies;
pub use self::url::SiteUrl;
use super::authenticator::{Identity, IdentityError, RequestCredentials};
use super::django_session::CsrfRule;
use super::look_up::{LookUpConfig, Remembered, Unreachable};
use super::origin::OriginVerdict;
use super::web_client::WebClient;

/// A hundred times what an honest answer needs.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone, Debug)]
pub struct SiteConfig {
    pub url: SiteUrl,
    /// Tells the site that it is ingest that asks.
    pub key: Option<Secret>,
    pub cookies: ShownCookies,
    /// Questions on their way at once; others wait.
    pub connections_max: usize,
    pub csrf: CsrfRule,
}

pub(crate) struct Site {
    url: SiteUrl,
    key: Option<HeaderValue>,
    cookies: ShownCookies,
    own_cookie: String,
    csrf: CsrfRule,
    client: Result<WebClient, Unreachable>,
    connections: Semaphore,
    answers: Remembered<[u8; 32], SiteAnswer>,
}

impl Site {
    /// `own_cookie` is the name of our session's cookie, which is none of the site's business.
    pub(crate) fn new(config: &SiteConfig, own_cookie: &str, look_up: &LookUpConfig) -> Self {
        Self {
            key: config.key.as_ref().and_then(key_header),
            cookies: config.cookies.clone(),
            own_cookie: own_cookie.to_owned(),
            csrf: config.csrf,
            client: WebClient::new(config.url.uri(), config.connections_max, ANSWER_BYTES_MAX),
            connections: Semaphore::new(config.connections_max),
            answers: Remembered::new("auth_url", look_up),
            url: config.url.clone(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        let cookies = match &self.cookies {
            ShownCookies::All => "all cookies".to_owned(),
            ShownCookies::Named(names) => format!("the cookies {}", names.join(", ")),
        };
        format!("the site, asked at {} with {cookies}", self.url)
    }

    /// Asks without credentials and says what the site thinks of that.
    pub(crate) async fn probe(&self) -> Result<String, Unreachable> {
        // Not remembered, and with the deadline of any other question.
        let nobody = self.answers.ask(self.ask(Question::of_nobody())).await?;
        match nobody {
            answer if answer.identifies() => Err(Unreachable(
                "--auth-url: the site names somebody where no credentials were shown".to_owned(),
            )),
            SiteAnswer::Known { .. } => Ok("it answers 200: nobody, without credentials".to_owned()),
            SiteAnswer::Failed { detail, .. } => Ok(format!("it answers 401 without credentials: {detail}")),
            SiteAnswer::Forbidden { detail } => Ok(format!("it answers 403 without credentials: {detail}")),
        }
    }

    pub(crate) async fn authenticate(
        &self,
        request: &RequestCredentials<'_>,
        authorization: ForTheSite,
    ) -> Result<Identity, IdentityError> {
        let question = Question::new(request, authorization, &self.cookies, &self.own_cookie, self.csrf);
        let Some(question) = question else { return Ok(Identity::ANONYMOUS) };
        let by_cookie = !question.has_authorization();
        let answer = self.answers.get(&question.digest(), || self.ask(question)).await?;
        if request.origin == OriginVerdict::Foreign && by_cookie && answer.identifies() {
            return Err(IdentityError::ForeignOrigin);
        }
        answer.into_identity()
    }

    async fn ask(&self, question: Question) -> Result<SiteAnswer, Unreachable> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let _connection = self.connections.acquire().await.expect("never closed");
        let request = question.into_request(self.url.uri(), self.key.as_ref());
        let answer = client.ask(request).await.map_err(|Unreachable(reason)| {
            Unreachable(format!("--auth-url: the site at {}: {reason}", self.url))
        })?;
        answer.try_into()
    }
}

/// `None` for a key that no header can hold, which [`super::IdentityConfig::check`] refuses.
pub(crate) fn key_header(key: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(key.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
