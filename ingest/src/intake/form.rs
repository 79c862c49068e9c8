//! `application/x-www-form-urlencoded`, as Django's `QueryDict` reads it: the
//! last of several values wins; but invalid UTF-8 is refused, not replaced.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::fields::{RawFields, RawValue};
use super::rejection::Rejection;

/// Most pairs of one form, as Django's `DATA_UPLOAD_MAX_NUMBER_FIELDS`.
pub(super) const FORM_FIELDS_MAX: usize = 1000;

const NOT_UTF8: Rejection = Rejection::Malformed("Form parse error - the form is not UTF-8.");
const TOO_MANY_FIELDS: Rejection = Rejection::Malformed("Form parse error - too many fields.");

pub(super) fn parse_body(body: &[u8]) -> Result<RawFields<'_>, Rejection> {
    parse(std::str::from_utf8(body).map_err(|_| NOT_UTF8)?)
}

pub(super) fn parse(form: &str) -> Result<RawFields<'_>, Rejection> {
    let mut fields = RawFields::default();
    for (index, pair) in form.split('&').enumerate() {
        if index == FORM_FIELDS_MAX {
            return Err(TOO_MANY_FIELDS);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if pair.is_empty() {
            continue;
        }
        if let Some(field) = fields.named(&decode(name)?) {
            *field = RawValue::from(decode(value)?);
        }
    }
    fields.forget_empty_id();
    Ok(fields)
}

/// One field that is no part of an activity.
pub(super) fn field(body: &[u8], wanted: &str) -> Option<String> {
    let pairs = std::str::from_utf8(body).ok()?.split('&').take(FORM_FIELDS_MAX);
    let of_the_name =
        |pair: &&str| decode(pair.split('=').next().unwrap_or_default()).is_ok_and(|name| name == wanted);
    let (_, value) = pairs.filter(of_the_name).last()?.split_once('=')?;
    decode(value).ok().map(Cow::into_owned)
}

fn decode(encoded: &str) -> Result<Cow<'_, str>, Rejection> {
    if !encoded.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(Cow::Borrowed(encoded));
    }
    let spaced = if encoded.contains('+') { Cow::Owned(encoded.replace('+', " ")) } else { encoded.into() };
    // It becomes no longer; collecting would grow it again and again.
    let mut decoded = Vec::with_capacity(spaced.len());
    decoded.extend(percent_decode_str(&spaced));
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| NOT_UTF8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(value: &'a RawValue<'_>) -> &'a str {
        match value {
            RawValue::Text(raw) => &raw.text,
            other => panic!("{other:?} is not a text"),
        }
    }

    #[test]
    fn a_typical_request_borrows() {
        let fields = parse("date=2016-12-29T07:35:22.571Z&path=users/me/cart/").expect("a form");
        assert!(matches!(&fields.path, RawValue::Text(raw) if matches!(raw.text, Cow::Borrowed(_))));
        assert_eq!(text(&fields.date), "2016-12-29T07:35:22.571Z");
    }

    #[test]
    fn the_last_value_wins_and_names_are_decoded() {
        let fields = parse("path=a&&p%61th=%C3%A9+b%2&x=%FF").expect("a form");
        assert_eq!(text(&fields.path), "é b%2");
    }

    #[test]
    fn invalid_utf8_is_refused() {
        assert_eq!(parse("path=%FF").expect_err("not UTF-8"), NOT_UTF8);
        assert_eq!(parse_body(b"path=\xff").expect_err("not UTF-8"), NOT_UTF8);
    }

    #[test]
    fn fields_are_bounded() {
        assert!(parse(&"a&".repeat(999)).is_ok());
        assert_eq!(parse(&"a&".repeat(1000)).expect_err("too many"), TOO_MANY_FIELDS);
    }
}
