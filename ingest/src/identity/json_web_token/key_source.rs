//! Where the keys come from, and when they are read again.
//!
//! Rule of safety: a set is read when a token names a key that it does not hold,
//! but once a minute at most, however many do; and when it is ten minutes old,
//! while the requests go on with the old one. One reading is on its way at most,
//! with a deadline and a limit of size. A set that cannot be read leaves the last
//! good one in force. Who cannot be found because nothing can be read is
//! [`Unreachable`], never refused. Held by `tests/key_sets.rs` beside this file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{Method, Request, StatusCode, Uri};
use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use super::algorithm::JwtAlgorithm;
use super::key::VerifyingKey;
use super::key_set::KeySet;
use crate::identity::look_up::Unreachable;
use crate::identity::web_client::WebClient;

/// A token that names an unknown key makes for one reading in so long.
const READING_PAUSE: Duration = Duration::from_secs(60);
/// Until there is a set at all, requests wait for it.
const FIRST_READING_PAUSE: Duration = Duration::from_secs(1);
/// Keys that the issuer has withdrawn count no longer than this.
const AGE_MAX: Duration = Duration::from_secs(600);
/// Far more than 64 keys with their certificates need.
pub(super) const SET_BYTES_MAX: usize = 512 * 1024;

const NO_PLACE: &str =
    "name a file, or a URL such as https://issuer.example/jwks.json without user and password";

/// Where a set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetPlace {
    File(PathBuf),
    /// http or https, without user and password.
    Url(Uri),
}

/// The keys for tokens: given once, or a set that is read again and again.
pub(super) enum KeySource {
    Given(Arc<Vec<VerifyingKey>>),
    Set(FetchedSet),
}

/// Clones see the same set.
#[derive(Clone)]
pub(super) struct FetchedSet(Arc<Shared>);

struct Shared {
    place: KeySetPlace,
    client: Option<Result<WebClient, Unreachable>>,
    timeout: Duration,
    algorithms: Vec<JwtAlgorithm>,
    state: Mutex<State>,
    /// Readings that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// The last good one, and when it was read.
    set: Option<(Arc<KeySet>, DateTime<Utc>)>,
    begun: Option<DateTime<Utc>>,
    /// Why the last reading has brought nothing.
    failure: Option<Unreachable>,
    reading: Option<OwnedTask<()>>,
}

impl State {
    /// Whether a set should be read now, for a token whose key is in the last one or is not.
    fn is_due(&self, has_key: bool, now: DateTime<Utc>) -> bool {
        let pause = if self.set.is_some() { READING_PAUSE } else { FIRST_READING_PAUSE };
        let is_old = self.set.as_ref().is_none_or(|(_, read)| distance(*read, now) >= AGE_MAX);
        self.reading.is_none()
            && (!has_key || is_old)
            && self.begun.is_none_or(|begun| distance(begun, now) >= pause)
    }
}

/// Requests come with times that differ by little, and a clock that was put back must not stop the readings.
fn distance(one: DateTime<Utc>, other: DateTime<Utc>) -> Duration {
    (other - one).abs().to_std().unwrap_or(Duration::MAX)
}

impl FetchedSet {
    pub(super) fn new(place: KeySetPlace, timeout: Duration, algorithms: &[JwtAlgorithm]) -> Self {
        let client = match &place {
            KeySetPlace::File(_) => None,
            KeySetPlace::Url(url) => Some(WebClient::new(url, 1, SET_BYTES_MAX)),
        };
        Self(Arc::new(Shared {
            place,
            client,
            timeout,
            algorithms: algorithms.to_vec(),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
        }))
    }

    /// A set that holds keys for such a token; `None` when no set does.
    pub(super) async fn find(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<KeySet>>, Unreachable> {
        let holds = |set: &KeySet| set.find(algorithm, id).next().is_some();
        let mut ended = self.0.ended.subscribe();
        {
            let mut state = self.0.state();
            let known = state.set.as_ref().map(|(set, _)| Arc::clone(set)).filter(|set| holds(set));
            if state.is_due(known.is_some(), now) {
                state.begun = Some(now);
                state.reading = Some(spawn_owned(Arc::clone(&self.0).read_again(now)));
            }
            match (known, &state.reading) {
                (Some(set), _) => return Ok(Some(set)),
                (None, None) => return state.without_key(),
                (None, Some(_)) => {}
            }
        }
        // The sender lives as long as this.
        ended.changed().await.map_err(|_| Unreachable("the reading of the keys has died".to_owned()))?;
        let state = self.0.state();
        match state.set.as_ref().filter(|(set, _)| holds(set)) {
            Some((set, _)) => Ok(Some(Arc::clone(set))),
            None => state.without_key(),
        }
    }

    /// Reads the set now; says what it holds.
    pub(super) async fn probe(&self) -> Result<String, Unreachable> {
        self.0.read().await.map(|set| set.describe())
    }
}

impl State {
    /// A key that no set holds is unknown, unless a newer set might hold it and cannot be read.
    fn without_key<T>(&self) -> Result<Option<T>, Unreachable> {
        self.failure.clone().map_or(Ok(None), Err)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_again(self: Arc<Self>, now: DateTime<Utc>) {
        let read = self.read().await;
        let mut state = self.state();
        match (&read, &state.failure) {
            (Err(Unreachable(reason)), None) => tracing::warn!(
                reason,
                "the keys for tokens cannot be read; {}",
                if state.set.is_some() {
                    "the last ones count on"
                } else {
                    "requests with tokens are answered 503"
                }
            ),
            (Ok(set), Some(_)) => {
                tracing::info!(keys = set.describe(), "the keys for tokens can be read again")
            }
            _ => {}
        }
        match read {
            Ok(set) => (state.set, state.failure) = (Some((Arc::new(set), now)), None),
            Err(unreachable) => state.failure = Some(unreachable),
        }
        // Its own handle: the task is at its end, so that dropping it ends nothing.
        state.reading = None;
        drop(state);
        self.ended.send_modify(|readings| *readings += 1);
    }

    async fn read(&self) -> Result<KeySet, Unreachable> {
        let bytes = async {
            match (&self.place, &self.client) {
                (KeySetPlace::Url(url), Some(Ok(client))) => fetch(client, url).await,
                (_, Some(Err(Unreachable(reason)))) => Err(reason.clone()),
                (KeySetPlace::File(path), _) => read_file(path).await,
                (KeySetPlace::Url(_), None) => Err("cannot be asked".to_owned()),
            }
        };
        let bytes = tokio::time::timeout(self.timeout, bytes)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {:?}", self.timeout)));
        bytes
            .and_then(|bytes| KeySet::parse(&bytes, &self.algorithms))
            .map_err(|reason| Unreachable(format!("--jwt-jwks {}: {reason}", self.place)))
    }
}

impl fmt::Display for KeySetPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            // A query may hold a key of the issuer's own.
            Self::Url(url) => write!(
                formatter,
                "{}://{}{}",
                url.scheme_str().unwrap_or_default(),
                url.authority().map_or("", |authority| authority.as_str()),
                url.path()
            ),
        }
    }
}

impl FromStr for KeySetPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let Some((scheme, _)) = text.split_once("://") else {
            return if text.is_empty() { Err(NO_PLACE) } else { Ok(Self::File(text.into())) };
        };
        let url: Uri = text.parse().map_err(|_| NO_PLACE)?;
        let authority = url.authority().ok_or(NO_PLACE)?;
        if !["http", "https"].contains(&scheme) || authority.as_str().contains('@') {
            return Err(NO_PLACE);
        }
        Ok(Self::Url(url))
    }
}

async fn fetch(client: &WebClient, url: &Uri) -> Result<Vec<u8>, String> {
    let question = Request::builder()
        .method(Method::GET)
        .uri(url)
        .header(http::header::ACCEPT, "application/jwk-set+json, application/json")
        .header(http::header::USER_AGENT, "djaffar")
        .body(())
        .map_err(|error| error.to_string())?;
    let answer = client.ask(question).await.map_err(|Unreachable(reason)| reason)?;
    match answer.status {
        StatusCode::OK => Ok(answer.body.to_vec()),
        status => Err(format!("answers {status}")),
    }
}

async fn read_file(path: &std::path::Path) -> Result<Vec<u8>, String> {
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let limit = SET_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
    if bytes.len() > SET_BYTES_MAX { Err(format!("is larger than {SET_BYTES_MAX} bytes")) } else { Ok(bytes) }
}
