//! `application/json`: one object, as Python's `json` module reads it: the last
//! of several keys wins, and a string may hold lone surrogates. An item of a
//! batch is such an object too.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue as Literal;

use super::fields::{RawFields, RawText, RawValue};
use super::rejection::Rejection;

/// Deepest nesting of lists and objects.
const DEPTH_MAX: usize = 128;

const MALFORMED: Rejection = Rejection::Malformed("JSON parse error");

/// Whether a `text/plain` body carries JSON: a form cannot sensibly begin with a brace.
pub(super) fn looks_like_an_object(body: &[u8]) -> bool {
    body.iter().find(|byte| !is_whitespace(**byte)) == Some(&b'{')
}

pub(super) fn parse(body: &[u8]) -> Result<RawFields<'_>, Rejection> {
    if body.is_empty() {
        // DRF takes an empty body for an empty object.
        return Ok(RawFields::default());
    }
    let json = std::str::from_utf8(body).map_err(|_| MALFORMED)?;
    if is_too_deep(body) {
        return Err(MALFORMED);
    }
    if !looks_like_an_object(body) {
        return Err(not_an_object(json));
    }
    if let Ok(PlainObject(fields)) = serde_json::from_str(json) {
        return Ok(fields);
    }
    let object: Object<'_> = serde_json::from_str(json).map_err(|_| MALFORMED)?;
    Ok(object.0)
}

/// DRF's message names the Python type of what was sent instead.
fn not_an_object(json: &str) -> Rejection {
    let Ok(literal) = serde_json::from_str::<&Literal>(json) else { return MALFORMED };
    Rejection::Malformed(match literal.get().as_bytes() {
        [b'[', ..] => "Invalid data. Expected a dictionary, but got list.",
        [b'"', ..] => "Invalid data. Expected a dictionary, but got str.",
        [b't' | b'f', ..] => "Invalid data. Expected a dictionary, but got bool.",
        [b'n', ..] => "No data provided",
        number if number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
            "Invalid data. Expected a dictionary, but got float."
        }
        _ => "Invalid data. Expected a dictionary, but got int.",
    })
}

/// serde_json skips what it need not build without recursion, so that only this bounds the depth.
fn is_too_deep(json: &[u8]) -> bool {
    if memchr::memchr2_iter(b'[', b'{', json).nth(DEPTH_MAX).is_none() {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

pub(super) fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// What nearly everybody sends, at twice the speed: names without escapes, our fields plain
/// strings. Anything else, broken JSON too, fails here and is read as an [`Object`].
struct PlainObject<'a>(RawFields<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for PlainObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PlainObjectVisitor).map(Self)
    }
}

struct PlainObjectVisitor;

impl<'de> Visitor<'de> for PlainObjectVisitor {
    type Value = RawFields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = RawFields::default();
        while let Some(name) = map.next_key::<&str>()? {
            match fields.named_in_object(name) {
                Some(field) => *field = RawValue::from(map.next_value::<&str>()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

struct Object<'a>(RawFields<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor).map(Self)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = RawFields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = RawFields::default();
        // As a literal, a name is checked for control characters; as bytes it would not be.
        while let Some(name) = map.next_key::<&Literal>()? {
            let PythonString(name) = serde_json::from_str(name.get()).map_err(M::Error::custom)?;
            match fields.named_in_object(&name.text) {
                Some(field) => *field = value(map.next_value::<&Literal>()?).map_err(M::Error::custom)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

fn value(literal: &Literal) -> serde_json::Result<RawValue<'_>> {
    let json = literal.get();
    Ok(match json.as_bytes() {
        [b'"', ..] => RawValue::Text(serde_json::from_str::<PythonString<'_>>(json)?.0),
        [b'n', ..] => RawValue::Null,
        [b't', ..] => RawValue::Boolean(true),
        [b'f', ..] => RawValue::Boolean(false),
        [b'[' | b'{', ..] => RawValue::Composite,
        _ => RawValue::Number(json),
    })
}

/// A JSON string whose lone surrogate escapes are kept in mind instead of refused.
struct PythonString<'a>(RawText<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for PythonString<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(PythonStringVisitor).map(Self)
    }
}

struct PythonStringVisitor;

impl<'de> Visitor<'de> for PythonStringVisitor {
    type Value = RawText<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(RawText { text: Cow::Borrowed(text), first_surrogate: None }),
            Err(_) => replace_surrogates(bytes).ok_or_else(|| E::custom("not a string")),
        }
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(RawText { text: Cow::Owned(text.to_owned()), first_surrogate: None }),
            Err(_) => replace_surrogates(bytes).ok_or_else(|| E::custom("not a string")),
        }
    }
}

/// serde_json gives a lone surrogate as its three bytes of generalised UTF-8 (WTF-8).
fn replace_surrogates(bytes: &[u8]) -> Option<RawText<'static>> {
    let mut text = String::with_capacity(bytes.len());
    let mut first_surrogate = None;
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        let (valid, tail) = rest.split_at(error.valid_up_to());
        let &[0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF, ..] = tail else { return None };
        let surrogate = 0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F);
        first_surrogate.get_or_insert(surrogate);
        text.push_str(std::str::from_utf8(valid).ok()?);
        text.push(char::REPLACEMENT_CHARACTER);
        rest = &tail[3..];
    }
    text.push_str(std::str::from_utf8(rest).ok()?);
    Some(RawText { text: Cow::Owned(text), first_surrogate })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(json: &str) -> RawText<'_> {
        match parse(json.as_bytes()).expect("JSON").path {
            RawValue::Text(raw) => raw,
            other => panic!("{other:?} is not a text"),
        }
    }

    #[test]
    fn the_last_of_several_keys_wins() {
        assert_eq!(path(r#"{"path": 1, "x": {"path": []}, "p\u0061th": "b"}"#).text, "b");
    }

    #[test]
    fn a_plain_string_borrows() {
        assert!(matches!(path(r#"{"path": "a"}"#).text, Cow::Borrowed("a")));
    }

    #[test]
    fn lone_surrogates_are_kept_in_mind() {
        let raw = path(r#"{"path": "a\udfff\ud83d\ude00\ud800"}"#);
        assert_eq!((raw.text.as_ref(), raw.first_surrogate), ("a\u{fffd}😀\u{fffd}", Some(0xDFFF)));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for json in
            ["{", "{} x", "{\"a\": NaN}", "{\"a\t\": 1}", "{\"a\": \"\t\"}", "\u{feff}{}", "{\"a\": 01}"]
        {
            assert_eq!(parse(json.as_bytes()).expect_err(json), MALFORMED);
        }
        let list = Rejection::Malformed("Invalid data. Expected a dictionary, but got list.");
        assert_eq!(parse(b"[{}]").expect_err("a list"), list);
        assert_eq!(parse(b"{\"a\": \"\xff\"}").expect_err("not UTF-8"), MALFORMED);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
        assert_eq!(parse(nested(DEPTH_MAX).as_bytes()).expect_err("too deep"), MALFORMED);
        assert_eq!(parse(nested(1_000_000).as_bytes()).expect_err("too deep"), MALFORMED);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_fast_way_reads_what_the_slow_one_reads(
            json in r#"[ \t]?\{("(date|path|id|identity|x|pa\\u0074h|x\\ud800|x[\t\n])" ?: ?("[a-z\\"/\u{0}\t\n\u{7f}u0d8é😀]{0,9}"|"[a-zé]{0,9}"|-?[0-9.e]{1,4}|null|true|\[\]|\{"path":1\}),?){0,4}\}? ?"#,
        ) {
            if let Ok(PlainObject(fast)) = serde_json::from_str(&json) {
                let Object(slow) = serde_json::from_str(&json).expect("no less is read");
                prop_assert_eq!(format!("{fast:?}"), format!("{slow:?}"));
            }
        }
    }
}
