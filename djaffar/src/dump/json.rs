//! JSON values as Python's `json.dumps(ensure_ascii=False)` writes them.

use chrono::{DateTime, Utc};

#[derive(Clone, Copy)]
pub(super) enum Value<'row> {
    Null,
    Text(&'row str),
    /// Digits that JSON knows as a number.
    Number(&'row str),
    /// The fraction cut to milliseconds, as `DjangoJSONEncoder` does.
    Milliseconds(DateTime<Utc>),
    Microseconds(DateTime<Utc>),
}

impl<'row> Value<'row> {
    pub(super) fn optional(text: Option<&'row str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }

    /// A text or a number without quotation marks; empty for everything else.
    pub(super) fn text(self) -> &'row str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Null | Self::Milliseconds(_) | Self::Microseconds(_) => "",
        }
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            // Both escape `"`, `\` and what is below U+0020, in the same way, and nothing else.
            Self::Text(text) => {
                serde_json::to_writer(out, text).expect("a text can be written into memory");
            }
            Self::Number(digits) => out.extend_from_slice(digits.as_bytes()),
            Self::Milliseconds(date) => quoted(&instant(date, 3), out),
            Self::Microseconds(date) => quoted(&instant(date, 6), out),
        }
    }
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// `YYYY-MM-DDTHH:MM:SS.ffffffZ` and shorter.
pub(super) struct InstantText {
    bytes: [u8; 27],
    length: usize,
}

impl std::ops::Deref for InstantText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// ISO 8601 in UTC, of the years 0 to 9999; a fraction of `fraction_digits` only when there are
/// microseconds.
pub(super) fn instant(instant: DateTime<Utc>, fraction_digits: usize) -> InstantText {
    let mut bytes = [0; 27];
    bytes[..26].copy_from_slice(&shared::time::calendar(instant));
    bytes[10] = b'T';
    let end = if instant.timestamp_subsec_micros() == 0 { 19 } else { 20 + fraction_digits };
    bytes[end] = b'Z';
    InstantText { bytes, length: end + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Value<'_>) -> String {
        let mut out = Vec::new();
        value.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn texts_are_escaped_as_python_does() {
        for (text, expected) in [
            ("", r#""""#),
            ("a\"b\\c/d", r#""a\"b\\c/d""#),
            ("\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}", r#""\u0001\b\t\n\u000b\f\r\u001f""#),
            ("\u{7f}\u{80}\u{2028}\u{2029}\u{feff}é😀", "\"\u{7f}\u{80}\u{2028}\u{2029}\u{feff}é😀\""),
        ] {
            assert_eq!(written(Value::Text(text)), expected);
        }
        assert_eq!(written(Value::optional(None)), "null");
        assert_eq!(written(Value::Number("-7")), "-7");
    }

    #[test]
    fn dates_are_cut_not_rounded() {
        for (micros, milliseconds, microseconds) in [
            (1_482_996_922_000_000, "2016-12-29T07:35:22Z", "2016-12-29T07:35:22Z"),
            (1_482_996_922_571_000, "2016-12-29T07:35:22.571Z", "2016-12-29T07:35:22.571000Z"),
            (1_482_996_922_999_999, "2016-12-29T07:35:22.999Z", "2016-12-29T07:35:22.999999Z"),
            (1_482_996_922_000_001, "2016-12-29T07:35:22.000Z", "2016-12-29T07:35:22.000001Z"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            let instant = DateTime::from_timestamp_micros(micros).expect("an instant");
            assert_eq!(written(Value::Milliseconds(instant)), format!("\"{milliseconds}\""));
            assert_eq!(written(Value::Microseconds(instant)), format!("\"{microseconds}\""));
        }
    }
}
