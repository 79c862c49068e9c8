//! Bodies that are nearly right: what is accepted keeps every promise, what is refused names its fault.

mod batches;
mod dates;
mod requests;

use std::fmt::Write;

use proptest::prelude::*;
use shared::fuzz;

use super::*;

/// What the parsers of bodies know.
const WORDS: &[&str] = &[
    "&",
    "=",
    "+",
    "%",
    "%00",
    "%E9",
    "%C3%A9",
    "%F0%9F%98%80",
    "date=",
    "path=",
    "referer=",
    "id=",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\ud83d\\ude00",
    "null",
    "true",
    "1e9",
    "-0",
    "NaN",
    "\"date\":",
    "\"path\":",
    "\"id\":",
    "\"identity\":",
    "\n",
    "\r\n",
    "\r\n\r\n",
    "--X",
    "--X--\r\n",
    "Content-Disposition: form-data; name=\"path\"",
    "; filename=\"a\"",
    "Content-Type: text/plain; charset=utf-16",
    "Content-Transfer-Encoding: base64",
    "\u{feff}",
    "\u{2028}",
];

/// The fields as somebody sends them, all of them texts.
#[derive(Clone, Debug, Default)]
struct Sent {
    date: Option<String>,
    path: Option<String>,
    referer: Option<String>,
    id: Option<String>,
}

impl Sent {
    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields =
            [("date", &self.date), ("path", &self.path), ("referer", &self.referer), ("id", &self.id)];
        fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    fn form(&self) -> String {
        let pairs: Vec<_> =
            self.fields().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        pairs.join("&")
    }

    fn json(&self) -> String {
        let object: serde_json::Map<_, _> =
            self.fields().map(|(name, value)| (name.to_owned(), value.into())).collect();
        serde_json::to_string(&object).expect("JSON")
    }

    fn multipart(&self) -> String {
        let mut body = String::new();
        for (name, value) in self.fields() {
            write!(body, "--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .expect("memory");
        }
        body + "--X--\r\n"
    }

    /// The same in every format.
    fn bodies(&self) -> [(BodyFormat, String); 5] {
        let multipart = BodyFormat::Multipart { boundary: "X".to_owned() };
        [
            (BodyFormat::Form, self.form()),
            (BodyFormat::Plain, self.form()),
            (BodyFormat::Json, self.json()),
            (BodyFormat::Plain, self.json()),
            (multipart, self.multipart()),
        ]
    }
}

/// Some as `%41`, a space as `+`, what is safe as it is.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b' ' => encoded.push('+'),
            b'a'..=b'm' | b'0'..=b'9' | b'/' | b'-' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("memory"),
        }
        encoded
    })
}

/// Without the boundary of the multipart bodies here.
fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("([a-zA-Z0-9/?&=%+\"\\\\{}\\[\\],:;é😀\u{2028}\u{1} ]|[^\0]){0,30}")
        .expect("a pattern")
        .prop_filter("no text holds it", |text| !text.contains("\r\n--X") && !text.contains('\0'))
}

fn date() -> impl Strategy<Value = String> {
    fuzz::one_of(&[
        "2016-12-29T07:35:22.571Z",
        "2016-12-29",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999+00:00",
        "2024-02-29 23:59",
        "2016-W52-4T07",
        "20161229T073522,5-0330",
        "2016-3-27 2:30",
        "1969-12-31T23:59:59.999999Z",
    ])
}

fn id() -> impl Strategy<Value = String> {
    any::<(u128, u8)>().prop_map(|(id, spelling)| {
        let id = uuid::Uuid::from_u128(id);
        match spelling % 4 {
            0 => id.hyphenated().to_string(),
            1 => id.simple().to_string().to_uppercase(),
            2 => id.urn().to_string(),
            _ => id.braced().to_string(),
        }
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    let path = text().prop_filter("blank", |text| !text.trim_matches(text::is_python_whitespace).is_empty());
    (date(), path, proptest::option::of(text()), proptest::option::of(id()))
        .prop_map(|(date, path, referer, id)| Sent { date: Some(date), path: Some(path), referer, id })
}

/// Valid by the rules of `event`, and the same if it is sent again as it was stored.
fn check(fields: &LogFields) -> Result<(), TestCaseError> {
    for (text, characters_max) in
        [(fields.path.as_str(), 1000), (fields.referer.as_str(), REFERER_CHARACTERS_MAX)]
    {
        prop_assert!(!text.contains('\0') && text.chars().count() <= characters_max);
        prop_assert_eq!(text.trim_matches(text::is_python_whitespace), text);
    }
    prop_assert!(!fields.path.as_str().is_empty());
    prop_assert_eq!(EventDate::new(fields.date.instant()), Some(fields.date));
    let again = Sent {
        date: Some(fields.date.instant().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
        path: Some(fields.path.as_str().to_owned()),
        referer: Some(fields.referer.as_str().to_owned()),
        id: Some(fields.id.0.to_string()),
    };
    for (format, body) in &again.bodies()[..4] {
        prop_assert_eq!(log(format, body, None), Ok(fields.clone()), "{:?}", format);
    }
    Ok(())
}
