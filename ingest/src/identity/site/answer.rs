//! What the site says, read with care: it is a program of somebody else's.

use std::borrow::Cow;

use http::header::{LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use shared::event::{SessionId, UserId};

use super::super::authenticator::{Identity, IdentityError, SiteSession};
use super::super::look_up::{Remember, Unreachable};
use super::super::web_client::WebAnswer;

const DETAIL_CHARACTERS_MAX: usize = 200;
const CHALLENGE_BYTES_MAX: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SiteAnswer {
    Known { user: Option<UserId>, session: Option<SessionId> },
    Failed { challenge: HeaderValue, detail: Cow<'static, str> },
    Forbidden { detail: Cow<'static, str> },
}

impl Remember for SiteAnswer {
    fn is_positive(&self) -> bool {
        self.identifies()
    }
}

impl SiteAnswer {
    /// Whether it says who or which session it is.
    pub(super) fn identifies(&self) -> bool {
        matches!(self, Self::Known { user, session } if user.is_some() || session.is_some())
    }

    pub(super) fn into_identity(self) -> Result<Identity, IdentityError> {
        match self {
            Self::Known { user, session } => {
                Ok(Identity { user, session: session.map_or(SiteSession::Unknown, SiteSession::Live) })
            }
            Self::Failed { challenge, detail } => Err(IdentityError::Failed { challenge, detail }),
            Self::Forbidden { detail } => Err(IdentityError::Forbidden { detail }),
        }
    }
}

impl TryFrom<WebAnswer> for SiteAnswer {
    type Error = Unreachable;

    fn try_from(answer: WebAnswer) -> Result<Self, Unreachable> {
        match answer.status {
            StatusCode::OK => known(&answer.body),
            StatusCode::UNAUTHORIZED => Ok(Self::Failed {
                challenge: challenge(&answer.headers),
                detail: detail(&answer.body, "Authentication credentials were refused."),
            }),
            StatusCode::FORBIDDEN => {
                Ok(Self::Forbidden { detail: detail(&answer.body, "The site does not permit this request.") })
            }
            status => Err(Unreachable(format!(
                "--auth-url: the site answered {} where it should 200, 401 or 403{}",
                status.as_u16(),
                advice(status, &answer.headers)
            ))),
        }
    }
}

fn advice(status: StatusCode, headers: &HeaderMap) -> &'static str {
    match status {
        _ if status.is_redirection() && headers.contains_key(LOCATION) => {
            "; redirects are not followed: name the view's own URL, with the scheme and the last slash that the site \
             insists on"
        }
        StatusCode::NOT_FOUND => {
            "; name the URL of its identity view, and in --auth-url-key what the site has as DJAFFAR_KEY"
        }
        StatusCode::BAD_REQUEST => "; Django answers so when the visitor's host is not in its ALLOWED_HOSTS",
        _ => "",
    }
}

/// `user` has to be there: an answer of some other view must not make everybody anonymous.
#[derive(Deserialize)]
struct Told {
    #[serde(deserialize_with = "Option::deserialize")]
    user: Option<ToldUser>,
    session: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ToldUser {
    Text(String),
    Signed(i64),
    Unsigned(u64),
}

#[derive(Deserialize)]
struct Refusal {
    detail: String,
}

fn known(body: &[u8]) -> Result<SiteAnswer, Unreachable> {
    let wrong = |what: &str| Unreachable(format!("--auth-url: the site answered 200 with {what}"));
    let told: Told = serde_json::from_slice(body)
        .map_err(|_| wrong("something else than {\"user\": text or null, \"session\": text or null}"))?;
    let user = told.user.map(|user| match user {
        ToldUser::Text(text) => text,
        ToldUser::Signed(number) => number.to_string(),
        ToldUser::Unsigned(number) => number.to_string(),
    });
    let user =
        user.map(|user| UserId::new(user).map_err(|_| wrong("a user that cannot be stored"))).transpose()?;
    let session =
        told.session.map(|session| SessionId::new(session).map_err(|_| wrong("a session that is none")));
    Ok(SiteAnswer::Known { user, session: session.transpose()? })
}

fn detail(body: &[u8], otherwise: &'static str) -> Cow<'static, str> {
    let told = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.detail);
    let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= DETAIL_CHARACTERS_MAX;
    told.filter(fits).map_or(Cow::Borrowed(otherwise), Cow::Owned)
}

fn challenge(headers: &HeaderMap) -> HeaderValue {
    let fits =
        |value: &&HeaderValue| value.to_str().is_ok() && (1..=CHALLENGE_BYTES_MAX).contains(&value.len());
    headers.get(WWW_AUTHENTICATE).filter(fits).cloned().unwrap_or(HeaderValue::from_static("Bearer"))
}
