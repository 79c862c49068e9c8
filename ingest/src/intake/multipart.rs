//! `multipart/form-data`, read from memory.
//!
//! Stricter than Django: a body that lacks its boundaries or is cut is refused,
//! not read as far as it goes, and no `Content-Transfer-Encoding` is undone
//! (RFC 7578, 4.7 has abolished it, and no browser sends one).

use std::borrow::Cow;
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream;
use multer::Multipart;

use super::fields::{RawFields, RawValue};
use super::form::FORM_FIELDS_MAX;
use super::rejection::Rejection;

const MALFORMED: Rejection = Rejection::Malformed("Multipart form parse error");

pub(super) fn parse(body: &Bytes, boundary: &str) -> Result<RawFields<'static>, Rejection> {
    if body.is_empty() {
        // DRF takes an empty body for an empty form.
        return Ok(RawFields::default());
    }
    if !is_boundary(boundary) {
        return Err(MALFORMED);
    }
    let whole = stream::iter([Ok::<_, Infallible>(body.clone())]);
    // The stream is ready at once, so that the future is too.
    read(Multipart::new(whole, boundary)).now_or_never().unwrap_or(Err(MALFORMED))
}

/// One field that is no part of an activity, the last of several.
pub(super) fn field(body: &Bytes, boundary: &str, wanted: &str) -> Option<String> {
    let whole = stream::iter([Ok::<_, Infallible>(body.clone())]);
    let mut multipart = is_boundary(boundary).then(|| Multipart::new(whole, boundary))?;
    let found = async {
        let mut found = None;
        while let Ok(Some(part)) = multipart.next_field().await {
            let is_wanted = part.name() == Some(wanted) && part.file_name().is_none();
            let bytes = part.bytes().await.ok()?;
            if is_wanted {
                found = String::from_utf8(bytes.into()).ok();
            }
        }
        found
    };
    found.now_or_never().flatten()
}

/// Django's rule: printable ASCII, up to 201 characters, no space at the end.
fn is_boundary(boundary: &str) -> bool {
    let bytes = boundary.as_bytes();
    !boundary.ends_with(' ')
        && (1..=201).contains(&bytes.len())
        && bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

async fn read(mut multipart: Multipart<'_>) -> Result<RawFields<'static>, Rejection> {
    let mut texts = RawFields::default();
    let mut files = RawFields::default();
    let mut count = 0;
    while let Some(part) = multipart.next_field().await.map_err(|_| MALFORMED)? {
        count += 1;
        if count > FORM_FIELDS_MAX {
            return Err(MALFORMED);
        }
        let Some(name) = part.name().map(|name| name.trim().to_owned()) else { continue };
        let is_file = part.file_name().is_some_and(|name| !name.is_empty());
        let bytes = part.bytes().await.map_err(|_| MALFORMED)?;
        if is_file {
            if let Some(field) = files.named(&name) {
                *field = RawValue::Composite;
            }
        } else if let Some(field) = texts.named(&name) {
            let text = String::from_utf8(bytes.into()).map_err(|_| MALFORMED)?;
            *field = RawValue::from(Cow::Owned(text));
        }
    }
    texts.forget_empty_id();
    // DRF puts the files over the texts.
    Ok(RawFields {
        date: files.date.or(texts.date),
        path: files.path.or(texts.path),
        referer: files.referer.or(texts.referer),
        id: files.id.or(texts.id),
        identity: RawValue::Absent,
    })
}
