//! A session of Django's for a visitor who has none, as django-djaffar began them.
//!
//! Those that are asked for while an insert is on its way go into the next one
//! together. Beyond the permitted rate the visitor gets a session of ours: a
//! flood of requests without cookies must not fill the site's table.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::HeaderValue;
use shared::event::SessionId;
use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::sync::{mpsc, oneshot};

use super::super::authenticator::BegunSession;
use super::super::look_up::{LookUpConfig, Unreachable};
use super::super::session_cookie::SessionConfig;
use super::signing::Signer;
use super::table::{NewSession, SessionTable};
use crate::http::client_address::Https;

/// Rows of one insert.
const GROUP_MAX: usize = 100;
const KEY_CHARACTERS: usize = 32;
const KEY_ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

pub(super) struct Beginner {
    cookie: SessionConfig,
    attributes: String,
    permits: DefaultDirectRateLimiter,
    wanted: mpsc::Sender<Wanted>,
    timeout: Duration,
    _inserting: OwnedTask<()>,
}

/// One visitor waits for the key of a session.
struct Wanted {
    expires: DateTime<Utc>,
    now: DateTime<Utc>,
    key: oneshot::Sender<Result<String, Unreachable>>,
}

impl Beginner {
    /// `None` when no session shall be begun.
    pub(super) fn start(
        per_second_max: u32,
        cookie: &SessionConfig,
        signer: Signer,
        table: SessionTable,
        look_up: &LookUpConfig,
    ) -> Option<Self> {
        let quota = Quota::per_second(NonZeroU32::new(per_second_max)?);
        let (wanted, waiting) = mpsc::channel(GROUP_MAX);
        Some(Self {
            attributes: cookie.attributes(),
            cookie: cookie.clone(),
            permits: RateLimiter::direct(quota),
            wanted,
            timeout: look_up.timeout,
            _inserting: spawn_owned(insert(waiting, signer, table, look_up.timeout)),
        })
    }

    pub(super) async fn begin(
        &self,
        now: DateTime<Utc>,
        https: Https,
    ) -> Result<Option<BegunSession>, Unreachable> {
        if self.permits.check().is_err() {
            return Ok(None);
        }
        let age = TimeDelta::from_std(self.cookie.age).unwrap_or(TimeDelta::MAX);
        let expires = now.checked_add_signed(age).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let (key, answer) = oneshot::channel();
        let asked = async {
            self.wanted.send(Wanted { expires, now, key }).await.ok()?;
            answer.await.ok()
        };
        let answer = tokio::time::timeout(self.timeout, asked).await.ok().flatten();
        let key =
            answer.unwrap_or_else(|| Err(Unreachable("no session could be begun in time".to_owned())))?;
        let set_cookie = self.set_cookie(&key, https);
        let id = SessionId::new(key).expect("32 letters and digits are a session id");
        Ok(Some(BegunSession { id, set_cookie }))
    }

    fn set_cookie(&self, key: &str, https: Https) -> HeaderValue {
        let secure = if self.cookie.is_always_secure() || https == Https::Yes { "; Secure" } else { "" };
        let cookie = format!("{}={key}{}{secure}", self.cookie.cookie_name, self.attributes);
        let mut value =
            HeaderValue::try_from(cookie).expect("name and domain were checked, the rest is ASCII");
        value.set_sensitive(true);
        value
    }
}

async fn insert(mut waiting: mpsc::Receiver<Wanted>, signer: Signer, table: SessionTable, timeout: Duration) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while waiting.recv_many(&mut group, GROUP_MAX).await > 0 {
        let sessions: Vec<_> = group.iter().map(|wanted| new_session(wanted, &signer)).collect();
        let inserted = tokio::time::timeout(timeout, table.insert(&sessions)).await;
        let inserted =
            inserted.unwrap_or_else(|_| Err(Unreachable("sessions could not be stored in time".to_owned())));
        for (wanted, session) in group.drain(..).zip(sessions) {
            // Who has given up meanwhile leaves an empty session behind, which expires.
            wanted.key.send(inserted.clone().map(|()| session.key)).ok();
        }
    }
}

fn new_session(wanted: &Wanted, signer: &Signer) -> NewSession {
    let character = |_| char::from(KEY_ALPHABET[rand::random_range(0..KEY_ALPHABET.len())]);
    NewSession {
        key: (0..KEY_CHARACTERS).map(character).collect(),
        data: signer.sign_with_time(b"{}", wanted.now),
        expires: wanted.expires,
    }
}
