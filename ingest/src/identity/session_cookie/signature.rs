//! The cookie's value: `<id>.<issue time>.<MAC>`, always [`VALUE_BYTES`] long.
//!
//! The MAC is HMAC-SHA256 over a fixed text (so that no other use of the same
//! key ever signs a session), the id's 16 bytes and the issue time's 8.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

const PURPOSE: &[u8] = b"djaffar session cookie, version 1\0";
const ID_DIGITS: usize = 32;
/// Seconds since 1970 as 10 hex digits: enough for 34,000 years.
const TIME_DIGITS: usize = 10;
const MAC_BYTES: usize = 32;
const MAC_CHARACTERS: usize = 43;

pub(super) const VALUE_BYTES: usize = ID_DIGITS + 1 + TIME_DIGITS + 1 + MAC_CHARACTERS;

/// What a cookie says when its signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) id: Uuid,
    /// Seconds since 1970-01-01T00:00:00Z, below 2^40.
    pub(super) issued: u64,
}

/// One key, with its HMAC state computed as far as it goes.
#[derive(Clone)]
pub(super) struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    pub(super) fn new(secret: &str) -> Self {
        let mut state =
            Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
        state.update(PURPOSE);
        Self(state)
    }

    fn mac(&self, claim: &Claim) -> [u8; MAC_BYTES] {
        let mut state = self.0.clone();
        state.update(claim.id.as_bytes());
        state.update(&claim.issued.to_be_bytes());
        state.finalize().into_bytes().into()
    }

    fn signed(&self, claim: &Claim, mac: &[u8; MAC_BYTES]) -> bool {
        self.mac(claim).ct_eq(mac).into()
    }

    /// Appends the cookie's value.
    pub(super) fn write(&self, claim: &Claim, out: &mut String) {
        let mut digits = [0; ID_DIGITS];
        out.push_str(claim.id.as_simple().encode_lower(&mut digits));
        out.push('.');
        for place in (0..TIME_DIGITS).rev() {
            let digit = (claim.issued >> (place * 4)) & 0xf;
            out.push(char::from(b"0123456789abcdef"[digit as usize]));
        }
        out.push('.');
        URL_SAFE_NO_PAD.encode_string(self.mac(claim), out);
    }
}

/// The claim and the position of the key that signed it; `None` for anything that no key has signed.
pub(super) fn verify(value: &[u8], keys: &[SigningKey]) -> Option<(Claim, usize)> {
    if value.len() != VALUE_BYTES {
        return None;
    }
    let (id, rest) = value.split_at(ID_DIGITS);
    let (time, mac) = rest.strip_prefix(b".")?.split_at(TIME_DIGITS);
    let id: [u8; ID_DIGITS / 2] = hex(id)?.to_be_bytes();
    let claim = Claim { id: Uuid::from_bytes(id), issued: u64::try_from(hex(time)?).ok()? };
    let mut presented = [0; MAC_BYTES];
    let written = URL_SAFE_NO_PAD.decode_slice(mac.strip_prefix(b".")?, &mut presented).ok()?;
    if written != MAC_BYTES {
        return None;
    }
    let position = keys.iter().position(|key| key.signed(&claim, &presented))?;
    Some((claim, position))
}

/// Lower-case hex digits only, 32 at most: each claim has one spelling.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((value << 4) | u128::from(digit))
    })
}
