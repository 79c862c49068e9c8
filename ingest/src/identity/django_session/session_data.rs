//! `django_session.session_data`: signed JSON, compressed when that is shorter.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::signing::Signer;

/// No session is so large; a bomb in the site's own table must not hurt us either.
const INFLATED_BYTES_MAX: u64 = 1024 * 1024;

/// What we read of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionData {
    pub(super) login: Option<Login>,
    pub(super) csrf_secret: Option<String>,
}

/// Who has logged in, how, and with which password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) backend: String,
    pub(super) hash: String,
}

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "_auth_user_id")]
    user: Option<String>,
    #[serde(rename = "_auth_user_backend")]
    backend: Option<String>,
    #[serde(rename = "_auth_user_hash")]
    hash: Option<String>,
    #[serde(rename = "_csrftoken")]
    csrf_secret: Option<String>,
}

/// `None` for data that Django would not believe either.
pub(super) fn decode(data: &str, signer: &Signer) -> Option<SessionData> {
    let (payload, _time) = signer.unsign(data)?.rsplit_once(':')?;
    let json = match payload.strip_prefix('.') {
        Some(compressed) => inflate(&URL_SAFE_NO_PAD.decode(compressed).ok()?)?,
        None => URL_SAFE_NO_PAD.decode(payload).ok()?,
    };
    let Stored { user, backend, hash, csrf_secret } = serde_json::from_slice(&json).ok()?;
    let login = match (user, backend, hash) {
        (Some(user), Some(backend), Some(hash)) => Some(Login { user, backend, hash }),
        _ => None,
    };
    Some(SessionData { login, csrf_secret })
}

fn inflate(compressed: &[u8]) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    let limit = INFLATED_BYTES_MAX + 1;
    ZlibDecoder::new(compressed).take(limit).read_to_end(&mut inflated).ok()?;
    (inflated.len() as u64 <= INFLATED_BYTES_MAX).then_some(inflated)
}
