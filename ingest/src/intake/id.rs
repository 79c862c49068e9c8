//! The optional event id: what DRF's `UUIDField` accepts.

use std::borrow::Cow;

use shared::event::EventId;
use uuid::Uuid;

use super::fields::RawValue;
use super::number;
use super::rejection::{Message, Messages, NULL};

const INVALID: Message = Cow::Borrowed("Must be a valid UUID.");

/// `None` when none was sent.
pub(super) fn validate(value: &RawValue<'_>) -> Result<Option<EventId>, Messages> {
    let uuid = match value {
        RawValue::Absent => return Ok(None),
        RawValue::Null => return Err(vec![NULL]),
        RawValue::Text(raw) => from_text(&raw.text),
        RawValue::Number(literal) if !number::is_float(literal) => from_integer(literal),
        // In Python a bool is an int.
        RawValue::Boolean(bit) => Some(Uuid::from_u128(u128::from(*bit))),
        RawValue::Number(_) | RawValue::Composite => None,
    };
    match uuid {
        Some(uuid) => Ok(Some(EventId(uuid))),
        None => Err(vec![INVALID]),
    }
}

/// Python's `uuid.UUID(hex=...)`: hyphens anywhere, braces around, `urn:` and `uuid:` dropped.
fn from_text(text: &str) -> Option<Uuid> {
    if let Ok(uuid) = Uuid::try_parse(text) {
        return Some(uuid);
    }
    let text = text.replace("urn:", "").replace("uuid:", "");
    let hex = text.trim_matches(['{', '}']).replace('-', "");
    let is_hex = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(&hex, 16).ok().map(Uuid::from_u128)).flatten()
}

fn from_integer(literal: &str) -> Option<Uuid> {
    if literal == "-0" {
        return Some(Uuid::nil());
    }
    literal.parse().ok().map(Uuid::from_u128)
}
