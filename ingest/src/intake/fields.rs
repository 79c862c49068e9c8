//! The fields as they were sent, borrowed from the body.

use std::borrow::Cow;

/// One log request before any check.
#[derive(Debug, Default)]
pub(super) struct RawFields<'a> {
    pub(super) date: RawValue<'a>,
    pub(super) path: RawValue<'a>,
    pub(super) referer: RawValue<'a>,
    pub(super) id: RawValue<'a>,
    /// Who the sender was when it happened; only an item of a batch says so.
    pub(super) identity: RawValue<'a>,
}

/// One value, with the types that JSON and multipart can give it.
#[derive(Debug, Default)]
pub(super) enum RawValue<'a> {
    #[default]
    Absent,
    Null,
    Boolean(bool),
    /// The literal of a JSON number.
    Number(&'a str),
    Text(RawText<'a>),
    /// A list, an object or a file.
    Composite,
}

/// A text as Python would hold it: JSON escapes may name lone surrogates.
#[derive(Debug)]
pub(super) struct RawText<'a> {
    /// U+FFFD stands for each lone surrogate.
    pub(super) text: Cow<'a, str>,
    pub(super) first_surrogate: Option<u16>,
}

impl<'a> RawFields<'a> {
    /// The field of that name, if it is one of ours.
    pub(super) fn named(&mut self, name: &str) -> Option<&mut RawValue<'a>> {
        match name {
            "date" => Some(&mut self.date),
            "path" => Some(&mut self.path),
            "referer" => Some(&mut self.referer),
            "id" => Some(&mut self.id),
            _ => None,
        }
    }

    /// The same for an object of JSON, which may be an item of a batch.
    pub(super) fn named_in_object(&mut self, name: &str) -> Option<&mut RawValue<'a>> {
        if name == "identity" { Some(&mut self.identity) } else { self.named(name) }
    }

    /// In forms, an empty value of an optional field counts as absent, as in HTML forms for DRF.
    pub(super) fn forget_empty_id(&mut self) {
        if self.id.is_absent_or_empty() {
            self.id = RawValue::Absent;
        }
    }

    /// django-djaffar's rule: the `Referer` header, whole, is the path that was not sent.
    pub(super) fn fall_back_to_header(&mut self, header: Option<&'a [u8]>) {
        if self.path.is_absent_or_empty() || matches!(self.path, RawValue::Null) {
            let text = String::from_utf8_lossy(header.unwrap_or_default());
            self.path = RawValue::Text(RawText { text, first_surrogate: None });
        }
    }
}

impl<'a> RawValue<'a> {
    pub(super) fn is_absent_or_empty(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(raw) => raw.text.is_empty(),
            _ => false,
        }
    }

    /// This value, or the other one where this is absent.
    pub(super) fn or(self, other: Self) -> Self {
        if matches!(self, Self::Absent) { other } else { self }
    }
}

impl<'a> From<&'a str> for RawValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::from(Cow::Borrowed(text))
    }
}

impl<'a> From<Cow<'a, str>> for RawValue<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(RawText { text, first_surrogate: None })
    }
}
