//! Text fields: the coercion and checks of DRF's `CharField`.

use std::borrow::Cow;

use shared::event::{InvalidText, PATH_CHARACTERS_MAX, PagePath, Referer};

use super::fields::{RawText, RawValue};
use super::number;
use super::rejection::{Message, Messages, NULL, REQUIRED};

const NOT_A_STRING: Message = Cow::Borrowed("Not a valid string.");
const BLANK: Message = Cow::Borrowed("This field may not be blank.");
const NULL_CHARACTERS: Message = Cow::Borrowed("Null characters are not allowed.");

pub(super) fn path(value: RawValue<'_>) -> Result<PagePath, Messages> {
    let text = coerce(value)?;
    let text = check(&text, PATH_CHARACTERS_MAX)?;
    PagePath::new(text).map_err(|error| vec![message(error, PATH_CHARACTERS_MAX)])
}

pub(super) fn referer(value: RawValue<'_>, characters_max: usize) -> Result<Referer, Messages> {
    if matches!(value, RawValue::Absent) {
        return Ok(Referer::default());
    }
    let text = coerce(value)?;
    let text = check(&text, characters_max)?;
    Referer::new(text, characters_max).map_err(|error| vec![message(error, characters_max)])
}

/// Python's `str.strip()`: its white space is Unicode's and the four information separators.
pub(super) fn is_python_whitespace(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// Numbers count as text; other types do not.
fn coerce(value: RawValue<'_>) -> Result<RawText<'_>, Messages> {
    match value {
        RawValue::Text(text) => Ok(text),
        RawValue::Number(literal) => Ok(RawText { text: number::to_text(literal), first_surrogate: None }),
        RawValue::Absent => Err(vec![REQUIRED]),
        RawValue::Null => Err(vec![NULL]),
        RawValue::Boolean(_) | RawValue::Composite => Err(vec![NOT_A_STRING]),
    }
}

/// Trims, and collects every message as DRF does, where the event types stop at the first.
fn check<'a>(raw: &'a RawText<'_>, characters_max: usize) -> Result<&'a str, Messages> {
    let text = raw.text.trim_matches(is_python_whitespace);
    let mut messages = Messages::new();
    if text.len() > characters_max && text.chars().count() > characters_max {
        messages.push(message(InvalidText::TooLong, characters_max));
    }
    if text.as_bytes().contains(&0) {
        messages.push(NULL_CHARACTERS);
    }
    if let Some(surrogate) = raw.first_surrogate {
        messages.push(format!("Surrogate characters are not allowed: U+{surrogate:X}.").into());
    }
    if messages.is_empty() { Ok(text) } else { Err(messages) }
}

fn message(error: InvalidText, characters_max: usize) -> Message {
    match error {
        InvalidText::Blank => BLANK,
        InvalidText::Null => NULL_CHARACTERS,
        InvalidText::TooLong => {
            format!("Ensure this field has no more than {characters_max} characters.").into()
        }
    }
}
