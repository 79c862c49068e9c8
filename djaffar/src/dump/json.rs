//! JSON values as Python's `json.dumps(ensure_ascii=False)` writes them.

use std::io::{self, Write};

use chrono::{DateTime, Datelike, Timelike, Utc};

#[derive(Clone, Copy)]
pub(super) enum Value<'row> {
    Text(&'row str),
    /// `null` when there is none.
    Optional(Option<&'row str>),
    /// The fraction cut to milliseconds, as `DjangoJSONEncoder` does.
    Milliseconds(DateTime<Utc>),
    Microseconds(DateTime<Utc>),
}

impl Value<'_> {
    pub(super) fn write(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            // Both escape `"`, `\` and what is below U+0020, in the same way, and nothing else.
            Self::Text(text) | Self::Optional(Some(text)) => Ok(serde_json::to_writer(out, text)?),
            Self::Optional(None) => out.write_all(b"null"),
            Self::Milliseconds(instant) => {
                let fraction = |micros, out: &mut _| write_fraction(micros / 1000, 3, out);
                write_instant(instant, fraction, out)
            }
            Self::Microseconds(instant) => {
                write_instant(instant, |micros, out| write_fraction(micros, 6, out), out)
            }
        }
    }
}

/// Quoted ISO 8601 in UTC; the fraction only when there are microseconds.
fn write_instant<W: Write>(
    instant: DateTime<Utc>,
    fraction: impl FnOnce(u32, &mut W) -> io::Result<()>,
    out: &mut W,
) -> io::Result<()> {
    let (year, month, day) = (instant.year(), instant.month(), instant.day());
    let (hour, minute, second) = (instant.hour(), instant.minute(), instant.second());
    write!(out, "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
    let micros = instant.timestamp_subsec_micros();
    if micros != 0 {
        fraction(micros, out)?;
    }
    out.write_all(b"Z\"")
}

fn write_fraction(fraction: u32, digits: usize, out: &mut impl Write) -> io::Result<()> {
    write!(out, ".{fraction:0digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Value<'_>) -> String {
        let mut out = Vec::new();
        value.write(&mut out).expect("a Vec takes everything");
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
        assert_eq!(written(Value::Optional(None)), "null");
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
