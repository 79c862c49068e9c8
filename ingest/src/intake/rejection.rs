//! Why a log request is refused, in DRF's words; no input is echoed.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// One message as DRF words it.
pub(super) type Message = Cow<'static, str>;
/// The messages of one field, in the order of its checks.
pub(super) type Messages = Vec<Message>;

/// Why a log request, or an item of a batch, is refused: status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The body cannot be read; the text is the answer's `detail`.
    Malformed(&'static str),
    /// A field is missing or wrong.
    Invalid(FieldErrors),
}

impl Rejection {
    /// The bounded label for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Invalid(_) => "invalid",
        }
    }
}

/// The messages of each wrong field, in the order date, path, referer, id;
/// serialises as `{"date": ["..."], ...}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldErrors(Vec<(&'static str, Messages)>);

impl FieldErrors {
    pub(super) fn collect(
        date: Option<Messages>,
        path: Option<Messages>,
        referer: Option<Messages>,
        id: Option<Messages>,
    ) -> Self {
        let fields = [("date", date), ("path", path), ("referer", referer), ("id", id)];
        Self(fields.into_iter().filter_map(|(name, messages)| Some((name, messages?))).collect())
    }

    /// An error that concerns no field, under DRF's name for it.
    pub(super) fn of_no_field(message: &'static str) -> Self {
        Self(vec![("non_field_errors", vec![Cow::Borrowed(message)])])
    }

    /// Each wrong field with its messages.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[Cow<'static, str>])> {
        self.0.iter().map(|(name, messages)| (*name, messages.as_slice()))
    }
}

impl Serialize for FieldErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, messages) in &self.0 {
            map.serialize_entry(name, messages)?;
        }
        map.end()
    }
}

pub(super) const REQUIRED: Message = Cow::Borrowed("This field is required.");
pub(super) const NULL: Message = Cow::Borrowed("This field may not be null.");
