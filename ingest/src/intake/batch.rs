//! Many activities in one body: an array, or one object a line.
//!
//! A body is cut into the JSON of its items without reading them, so that a
//! bad item spoils no other. Items are numbered from 0; blank lines are none.

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue as Literal;

use super::LogFields;
use super::content_type::BatchFormat;
use super::fields::RawValue;
use super::json;
use super::rejection::{FieldErrors, Rejection};
use super::text::Source;

/// Most items of one batch.
pub(super) const ITEMS_MAX: usize = 1000;
/// Largest item, in bytes of JSON.
pub(super) const ITEM_BYTES_MAX: usize = 32 * 1024;

const EMPTY: BatchRejection = BatchRejection::Malformed("The batch is empty.");
const MALFORMED: BatchRejection = BatchRejection::Malformed("JSON parse error");
const NOT_A_LIST: BatchRejection = BatchRejection::Malformed("Invalid data. Expected a list of items.");

/// What a body holds; its texts share the body's bytes where they can.
#[derive(Debug, Default)]
pub struct Batch {
    pub items: Vec<Item>,
    pub rejected: Vec<RejectedItem>,
}

/// A valid item.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    pub fields: LogFields,
    /// The identity digest that the client held when it happened, as sent; `None` if it says nothing.
    pub identity: Option<ByteString>,
}

/// Serialises as `{"index": 3, "errors": {...}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedItem {
    pub index: usize,
    pub reason: ItemRejection,
}

/// Why a batch is refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchRejection {
    /// The body cannot be read, or holds nothing; the text is the answer's `detail`: status 400.
    Malformed(&'static str),
    /// Status 413.
    TooManyItems,
}

impl BatchRejection {
    /// The bounded label for metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooManyItems => "too_many_items",
        }
    }
}

/// Why an item is refused; the others are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemRejection {
    /// As a log request with these fields would be.
    Rejected(Rejection),
    TooLarge,
}

impl From<Rejection> for ItemRejection {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl ItemRejection {
    /// The bounded label for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.label(),
            Self::TooLarge => "item_too_large",
        }
    }

    fn errors(&self) -> Cow<'_, FieldErrors> {
        match self {
            Self::Rejected(Rejection::Invalid(errors)) => Cow::Borrowed(errors),
            Self::Rejected(Rejection::Malformed(detail)) => Cow::Owned(FieldErrors::of_no_field(detail)),
            Self::TooLarge => Cow::Owned(FieldErrors::of_no_field("The item is too large.")),
        }
    }
}

impl Serialize for RejectedItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_struct("RejectedItem", 2)?;
        item.serialize_field("index", &self.index)?;
        item.serialize_field("errors", &*self.reason.errors())?;
        item.end()
    }
}

/// The JSON of each item.
pub(super) fn split(format: BatchFormat, body: &[u8]) -> Result<Vec<&[u8]>, BatchRejection> {
    let first = body.iter().copied().find(|byte| !json::is_whitespace(*byte)).ok_or(EMPTY)?;
    match format {
        BatchFormat::Json if first != b'[' => Err(not_an_array(body)),
        BatchFormat::Plain if first != b'[' => lines(body),
        BatchFormat::Json | BatchFormat::Plain => array(body),
        BatchFormat::Lines => lines(body),
    }
}

fn lines(body: &[u8]) -> Result<Vec<&[u8]>, BatchRejection> {
    let ends = memchr::memchr_iter(b'\n', body).chain([body.len()]);
    let mut items = Vec::new();
    let mut begin = 0;
    for end in ends {
        let line = trim(&body[begin..end]);
        begin = end + 1;
        if line.is_empty() {
            continue;
        }
        if items.len() == ITEMS_MAX {
            return Err(BatchRejection::TooManyItems);
        }
        items.push(line);
    }
    Ok(items)
}

fn trim(line: &[u8]) -> &[u8] {
    let is_content = |byte: &u8| !json::is_whitespace(*byte);
    let Some(begin) = line.iter().position(is_content) else { return &[] };
    let end = line.iter().rposition(is_content).map_or(begin, |last| last + 1);
    &line[begin..end]
}

fn array(body: &[u8]) -> Result<Vec<&[u8]>, BatchRejection> {
    let json = std::str::from_utf8(body).map_err(|_| MALFORMED)?;
    let Array { items, more } = serde_json::from_str(json).map_err(|_| MALFORMED)?;
    if more > 0 {
        return Err(BatchRejection::TooManyItems);
    }
    if items.is_empty() { Err(EMPTY) } else { Ok(items) }
}

fn not_an_array(body: &[u8]) -> BatchRejection {
    let is_json = std::str::from_utf8(body).is_ok_and(|json| serde_json::from_str::<&Literal>(json).is_ok());
    if is_json { NOT_A_LIST } else { MALFORMED }
}

/// Up to [`ITEMS_MAX`] items, and how many more there are.
struct Array<'a> {
    items: Vec<&'a [u8]>,
    more: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Array<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ArrayVisitor)
    }
}

struct ArrayVisitor;

impl<'de> Visitor<'de> for ArrayVisitor {
    type Value = Array<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut sequence: S) -> Result<Self::Value, S::Error> {
        let mut array = Array { items: Vec::new(), more: 0 };
        while array.items.len() < ITEMS_MAX {
            match sequence.next_element::<&Literal>()? {
                Some(item) => array.items.push(item.get().as_bytes()),
                None => return Ok(array),
            }
        }
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            array.more += 1;
        }
        Ok(array)
    }
}

/// What is no text is nobody's digest, but it is a claim.
pub(super) fn identity(value: RawValue<'_>, source: Source<'_>) -> Option<ByteString> {
    match value {
        RawValue::Absent | RawValue::Null => None,
        RawValue::Text(raw) => Some(source.share(&raw.text)),
        RawValue::Boolean(_) | RawValue::Number(_) | RawValue::Composite => Some(ByteString::new()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono_tz::Tz;
    use proptest::prelude::*;

    use super::*;
    use crate::intake::{Intake, IntakeConfig};

    const GOOD: &str = r#"{"date": "2016-12-29", "path": "a"}"#;

    fn batch(format: BatchFormat, body: &str) -> Result<Batch, BatchRejection> {
        let intake = Intake::new(IntakeConfig { time_zone: Tz::UTC, referer_characters_max: 2048 });
        intake.batch(format, &Bytes::copy_from_slice(body.as_bytes()))
    }

    fn rejected(batch: &Batch) -> String {
        serde_json::to_string(&batch.rejected).expect("JSON")
    }

    #[test]
    fn every_format_carries_the_same_items() {
        let array = format!("\r\n[{GOOD} ,\n{GOOD}]\n");
        let lines = format!("\n{GOOD}\r\n \n\t{GOOD} ");
        for (format, body) in [
            (BatchFormat::Json, &array),
            (BatchFormat::Plain, &array),
            (BatchFormat::Plain, &lines),
            (BatchFormat::Lines, &lines),
        ] {
            let batch = batch(format, body).expect("a batch");
            assert_eq!((batch.items.len(), batch.rejected.len()), (2, 0), "{format:?}");
            assert_eq!(batch.items[1].fields.path.as_str(), "a");
        }
    }

    #[test]
    fn bad_items_are_named_and_spoil_no_other() {
        let large =
            format!(r#"{{"date": "2016-12-29", "path": "a", "x": "{}"}}"#, "x".repeat(ITEM_BYTES_MAX));
        let deep = format!(r#"{{"x": {}{}}}"#, "[".repeat(200), "]".repeat(200));
        let lines = [GOOD, r#"{"date": "#, "[]", "", r#"{"path": null}"#, &large, &deep, GOOD].join("\n");
        let batch = batch(BatchFormat::Lines, &lines).expect("a batch");
        assert_eq!(batch.items.len(), 2);
        assert_eq!(
            rejected(&batch),
            r#"[{"index":1,"errors":{"non_field_errors":["JSON parse error"]}},"#.to_owned()
                + r#"{"index":2,"errors":{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}},"#
                + r#"{"index":3,"errors":{"date":["This field is required."],"path":["This field may not be null."]}},"#
                + r#"{"index":4,"errors":{"non_field_errors":["The item is too large."]}},"#
                + r#"{"index":5,"errors":{"non_field_errors":["JSON parse error"]}}]"#
        );
        let labels: Vec<_> = batch.rejected.iter().map(|item| item.reason.label()).collect();
        assert_eq!(labels, ["malformed", "malformed", "invalid", "item_too_large", "malformed"]);
    }

    #[test]
    fn no_header_stands_in_for_a_path() {
        let batch = batch(BatchFormat::Json, r#"[{"date": "2016-12-29"}]"#).expect("a batch");
        assert_eq!(rejected(&batch), r#"[{"index":0,"errors":{"path":["This field is required."]}}]"#);
    }

    #[test]
    fn what_is_no_batch_is_refused_whole() {
        for (format, body, expected) in [
            (BatchFormat::Json, "", EMPTY),
            (BatchFormat::Lines, "\n \r\n", EMPTY),
            (BatchFormat::Plain, "", EMPTY),
            (BatchFormat::Json, "[]", EMPTY),
            (BatchFormat::Json, GOOD, NOT_A_LIST),
            (BatchFormat::Json, "[{}", MALFORMED),
            (BatchFormat::Json, "[{},]", MALFORMED),
            (BatchFormat::Json, "[{}] x", MALFORMED),
            (BatchFormat::Json, "{", MALFORMED),
            (BatchFormat::Plain, "[", MALFORMED),
        ] {
            assert_eq!(batch(format, body).expect_err(body), expected, "{body}");
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(batch(BatchFormat::Json, &deep).expect_err("deep"), MALFORMED);
    }

    #[test]
    fn items_are_counted() {
        let lines = |count: usize| format!("{GOOD}\n").repeat(count);
        let array = |count: usize| format!("[{}]", vec![GOOD; count].join(","));
        assert_eq!(batch(BatchFormat::Lines, &lines(ITEMS_MAX)).expect("a batch").items.len(), ITEMS_MAX);
        assert_eq!(batch(BatchFormat::Json, &array(ITEMS_MAX)).expect("a batch").items.len(), ITEMS_MAX);
        let too_many = ITEMS_MAX + 1;
        assert_eq!(
            batch(BatchFormat::Lines, &lines(too_many)).expect_err("more"),
            BatchRejection::TooManyItems
        );
        assert_eq!(
            batch(BatchFormat::Json, &array(too_many)).expect_err("more"),
            BatchRejection::TooManyItems
        );
    }

    #[test]
    fn an_identity_is_whatever_was_sent() {
        let body = ["null", "\"abc\"", "1", "[]"]
            .map(|identity| format!(r#"{{"date": "2016-12-29", "path": "a", "identity": {identity}}}"#))
            .join("\n");
        let batch = batch(BatchFormat::Lines, &body).expect("a batch");
        let identities: Vec<_> = batch.items.iter().map(|item| item.identity.as_deref()).collect();
        assert_eq!(identities, [None, Some("abc"), Some(""), Some("")]);
    }

    fn any_line() -> impl Strategy<Value = (String, bool)> {
        prop_oneof![
            Just((GOOD.to_owned(), true)),
            Just((format!(" {GOOD}\r"), true)),
            "[a-z\\[{\"]{1,9}".prop_map(|line| (line, false)),
            "\\{\"date\": \"[0-9-]{1,9}\"\\}".prop_map(|line| (line, false)),
        ]
    }

    proptest! {
        #[test]
        fn every_item_is_accepted_or_named(lines in proptest::collection::vec(any_line(), 1..30)) {
            let body: Vec<_> = lines.iter().map(|(line, _)| line.as_str()).collect();
            let body = body.join("\n\n");
            let batch = batch(BatchFormat::Lines, &body).expect("a batch");
            let named: Vec<_> = batch.rejected.iter().map(|item| item.index).collect();
            let bad = lines.iter().enumerate().filter(|(_, (_, good))| !good);
            prop_assert_eq!(named, bad.map(|(index, _)| index).collect::<Vec<_>>());
            prop_assert_eq!(batch.items.len() + batch.rejected.len(), lines.len());
        }

        #[test]
        fn no_body_panics(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            text in r#"[\[{"]{0,2}([ \n,\]}\[{":]|date|path|\\u[0-9d]{4}|[0-9é]){0,40}"#,
        ) {
            let intake = Intake::new(IntakeConfig { time_zone: Tz::UTC, referer_characters_max: 2048 });
            for format in [BatchFormat::Json, BatchFormat::Lines, BatchFormat::Plain] {
                for body in [&body[..], text.as_bytes()] {
                    if let Ok(batch) = intake.batch(format, &Bytes::copy_from_slice(body)) {
                        prop_assert!(batch.items.len() + batch.rejected.len() > 0);
                    }
                }
            }
        }
    }
}
