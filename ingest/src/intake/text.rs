//! Text fields: the coercion and checks of DRF's `CharField`.

use std::borrow::Cow;

use bytestring::ByteString;
use shared::event::{InvalidText, PATH_CHARACTERS_MAX, PagePath, Referer};

use super::fields::{RawText, RawValue};
use super::number;
use super::rejection::{Message, Messages, NULL, REQUIRED};

const NOT_A_STRING: Message = Cow::Borrowed("Not a valid string.");
const BLANK: Message = Cow::Borrowed("This field may not be blank.");
const NULL_CHARACTERS: Message = Cow::Borrowed("Null characters are not allowed.");

/// The body, whose bytes texts can share instead of having a copy.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) Option<&'a ByteString>);

impl Source<'_> {
    pub(super) const NONE: Self = Self(None);

    /// Copies what does not stand in the body as it is.
    pub(super) fn share(self, text: &str) -> ByteString {
        let part = text.as_bytes().as_ptr_range();
        let stands_in = |body: &&ByteString| {
            let whole = body.as_bytes().as_ptr_range();
            whole.start <= part.start && part.end <= whole.end
        };
        self.0.filter(stands_in).map_or_else(|| text.into(), |body| body.slice_ref(text))
    }
}

pub(super) fn path(value: RawValue<'_>, source: Source<'_>) -> Result<PagePath, Messages> {
    check(&coerce(value)?, PATH_CHARACTERS_MAX, |text| PagePath::new(source.share(text)))
}

pub(super) fn referer(
    value: RawValue<'_>,
    characters_max: usize,
    source: Source<'_>,
) -> Result<Referer, Messages> {
    if matches!(value, RawValue::Absent) {
        return Ok(Referer::default());
    }
    check(&coerce(value)?, characters_max, |text| Referer::new(source.share(text), characters_max))
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

fn check<T>(
    raw: &RawText<'_>,
    characters_max: usize,
    make: impl FnOnce(&str) -> Result<T, InvalidText>,
) -> Result<T, Messages> {
    let text = raw.text.trim_matches(is_python_whitespace);
    match (make(text), raw.first_surrogate) {
        (Ok(made), None) => Ok(made),
        (made, surrogate) => Err(messages(text, characters_max, surrogate, made.err())),
    }
}

/// Every message as DRF collects them, where the event types stop at the `first`.
fn messages(
    text: &str,
    characters_max: usize,
    surrogate: Option<u16>,
    first: Option<InvalidText>,
) -> Messages {
    let mut messages = Messages::new();
    if text.chars().count() > characters_max {
        messages.push(format!("Ensure this field has no more than {characters_max} characters.").into());
    }
    if text.contains('\0') {
        messages.push(NULL_CHARACTERS);
    }
    if let Some(surrogate) = surrogate {
        messages.push(format!("Surrogate characters are not allowed: U+{surrogate:X}.").into());
    }
    if first == Some(InvalidText::Blank) {
        messages.push(BLANK);
    }
    messages
}
