//! Which of the formats a `Content-Type` names.

/// How a body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    Form,
    Multipart {
        /// As sent; an empty or impossible one is refused when the body is read.
        boundary: String,
    },
    Json,
    /// What `sendBeacon` sends without a preflight: JSON if it begins with `{`, else a form.
    Plain,
}

/// How the body of a batch is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFormat {
    /// One array.
    Json,
    /// One object a line: `application/x-ndjson`.
    Lines,
    /// What `sendBeacon` sends without a preflight: an array if it begins with `[`, else lines.
    Plain,
}

impl BodyFormat {
    /// `None` is status 415: an unknown type, a charset other than UTF-8, or,
    /// as in DRF, no `Content-Type` at all.
    #[must_use]
    pub fn from_content_type(value: Option<&[u8]>) -> Option<Self> {
        let ContentType { essence, parameters } = ContentType::read(value)?;
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Some(Self::Form)
        } else if essence.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else if essence.eq_ignore_ascii_case("text/plain") {
            Some(Self::Plain)
        } else if essence.eq_ignore_ascii_case("multipart/form-data") {
            Some(Self::Multipart { boundary: parameter(parameters, "boundary").unwrap_or_default() })
        } else {
            None
        }
    }
}

impl BatchFormat {
    /// `None` is status 415, as for [`BodyFormat`].
    #[must_use]
    pub fn from_content_type(value: Option<&[u8]>) -> Option<Self> {
        let essence = ContentType::read(value)?.essence;
        let formats = [
            ("application/json", Self::Json),
            ("application/x-ndjson", Self::Lines),
            ("text/plain", Self::Plain),
        ];
        formats.into_iter().find(|(name, _)| essence.eq_ignore_ascii_case(name)).map(|(_, format)| format)
    }
}

struct ContentType<'a> {
    essence: &'a str,
    parameters: &'a str,
}

impl<'a> ContentType<'a> {
    /// `None` when there is none, or for a charset other than UTF-8.
    fn read(value: Option<&'a [u8]>) -> Option<Self> {
        let value = std::str::from_utf8(value?).ok()?;
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let charset = parameter(parameters, "charset");
        charset.is_none_or(|charset| is_utf8(&charset)).then(|| Self { essence: essence.trim(), parameters })
    }
}

/// ASCII is a part of UTF-8.
fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

/// The first parameter of that name; a quoted value may hold semicolons and escapes.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=')?;
        // A parameter without a value stands before the name.
        let name = name.rsplit(';').next().unwrap_or(name).trim();
        let (value, tail) = parameter_value(tail.trim_start());
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = tail;
    }
    None
}

/// The value and what follows its semicolon.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, tail) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), tail);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => {
                let tail = &quoted[index + 1..];
                return (value, tail.split_once(';').map_or("", |(_, tail)| tail));
            }
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(value: &str) -> Option<BodyFormat> {
        BodyFormat::from_content_type(Some(value.as_bytes()))
    }

    #[test]
    fn names_are_case_insensitive_and_parameters_allowed() {
        assert_eq!(format("Application/JSON; indent=4"), Some(BodyFormat::Json));
        assert_eq!(format(" text/plain;charset=UTF-8"), Some(BodyFormat::Plain));
        assert_eq!(format("application/x-www-form-urlencoded; charset=\"utf-8\""), Some(BodyFormat::Form));
    }

    #[test]
    fn other_types_charsets_and_none_are_unsupported() {
        assert_eq!(BodyFormat::from_content_type(None), None);
        for value in ["", "text/html", "application/jsonx", "text/plain; charset=utf-16", "*/*"] {
            assert_eq!(format(value), None, "{value}");
        }
    }

    #[test]
    fn a_batch_has_formats_of_its_own() {
        let format = |value: &str| BatchFormat::from_content_type(Some(value.as_bytes()));
        assert_eq!(format("application/json; charset=utf-8"), Some(BatchFormat::Json));
        assert_eq!(format("Application/X-NDJSON"), Some(BatchFormat::Lines));
        assert_eq!(format("text/plain;charset=UTF-8"), Some(BatchFormat::Plain));
        for value in ["application/x-www-form-urlencoded", "application/json; charset=latin1", ""] {
            assert_eq!(format(value), None, "{value}");
        }
        assert_eq!(BatchFormat::from_content_type(None), None);
    }

    #[test]
    fn a_boundary_may_be_quoted() {
        for (value, expected) in [
            ("multipart/form-data; boundary=abc", "abc"),
            ("multipart/form-data; x; Boundary=\"a;\\\"b\" ; charset=utf-8", "a;\"b"),
            ("multipart/form-data", ""),
        ] {
            assert_eq!(
                format(value),
                Some(BodyFormat::Multipart { boundary: expected.to_owned() }),
                "{value}"
            );
        }
    }
}
