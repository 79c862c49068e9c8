//! Random requests: the formats with their oddities, filled with random fields.

use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::request::{Content, Request};
use super::texts::pick;
use super::{dates, texts};

const TIME_ZONES: [Tz; 4] = [Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata];
const REFERER_CHARACTERS_MAX: usize = 2048;
const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// The request of that number: the same for the same seed.
pub(crate) fn generate(seed: u64, number: u64) -> Request {
    let rng = &mut StdRng::seed_from_u64(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let fields = Fields::generate(rng);
    let mut content = match rng.random_range(0..20) {
        0 => Content::Query(form(&fields, rng)),
        1..9 => Content::Body {
            content_type: content_type(rng, "application/x-www-form-urlencoded"),
            body: form(&fields, rng).into_bytes(),
        },
        9..11 => Content::Body {
            content_type: content_type(rng, &format!("multipart/form-data; boundary={BOUNDARY}")),
            body: multipart(&fields, rng),
        },
        11..18 => Content::Body {
            content_type: content_type(rng, "application/json"),
            body: json(&fields, rng).into_bytes(),
        },
        18 => Content::Body {
            content_type: content_type(rng, "text/plain"),
            body: form(&fields, rng).into_bytes(),
        },
        _ => Content::Body {
            content_type: content_type(rng, "text/plain"),
            body: json(&fields, rng).into_bytes(),
        },
    };
    if let Content::Body { body, content_type } = &mut content
        && !content_type.as_deref().unwrap_or_default().to_lowercase().starts_with("multipart")
        && rng.random_bool(0.05)
    {
        damage(body, rng);
    }
    Request {
        time_zone: TIME_ZONES[rng.random_range(0..TIME_ZONES.len())],
        referer_characters_max: REFERER_CHARACTERS_MAX,
        referer_header: rng.random_bool(0.3).then(|| referer_header(rng)),
        content,
    }
}

/// Values in the order in which they are sent; names may come twice.
struct Fields(Vec<(String, Field)>);

enum Field {
    Date(String),
    Path(String),
    Referer(String),
    Id(String),
    Other(String),
}

impl Field {
    fn text(&self) -> &str {
        match self {
            Self::Date(text)
            | Self::Path(text)
            | Self::Referer(text)
            | Self::Id(text)
            | Self::Other(text) => text,
        }
    }
}

impl Fields {
    fn generate(rng: &mut StdRng) -> Self {
        let mut fields = Vec::new();
        for _ in 0..if rng.random_bool(0.03) { 2 } else { 1 } {
            if rng.random_bool(0.95) {
                fields.push(("date".to_owned(), Field::Date(dates::generate(rng))));
            }
            if rng.random_bool(0.9) {
                fields.push(("path".to_owned(), Field::Path(texts::generate(rng, 1000))));
            }
            if rng.random_bool(0.4) {
                let text = texts::generate(rng, REFERER_CHARACTERS_MAX);
                fields.push(("referer".to_owned(), Field::Referer(text)));
            }
            if rng.random_bool(0.3) {
                fields.push(("id".to_owned(), Field::Id(texts::id(rng))));
            }
            if rng.random_bool(0.1) {
                let name =
                    pick(rng, &["", "Date", "user", "path[]", "pat", "é", "date\0", " date"]).to_owned();
                fields.push((name, Field::Other(texts::generate(rng, 10))));
            }
        }
        if rng.random_bool(0.1) && fields.len() > 1 {
            let last = fields.len() - 1;
            fields.swap(0, last);
        }
        Self(fields)
    }
}

fn referer_header(rng: &mut StdRng) -> Vec<u8> {
    match rng.random_range(0..8) {
        0 => b"  ".to_vec(),
        1 => vec![b'a'; 1000 + rng.random_range(0..3) - 1],
        2 => "http://example.com/é".as_bytes().to_vec(),
        3 => Vec::new(),
        _ => b"http://example.com/page?x=%C3%A9".to_vec(),
    }
}

fn content_type(rng: &mut StdRng, usual: &str) -> Option<String> {
    match rng.random_range(0..60) {
        0 => None,
        1 => Some(
            pick(rng, &["text/html", "application/xml", "image/gif", "garbage", ";", "application/ json"])
                .to_owned(),
        ),
        2 => Some(usual.replace("application", "Application")),
        3 => Some(format!(
            "{usual}; charset={}",
            pick(rng, &["utf-8", "UTF-8", "\"utf-8\"", "utf8", "us-ascii"])
        )),
        4 => Some(format!(
            "{usual};{}",
            pick(rng, &["", " ", "x", "x=", "version=1", "charset=latin-1", "charset=no"])
        )),
        5 if usual.contains("boundary") => Some(match rng.random_range(0..3) {
            0 => "multipart/form-data".to_owned(),
            1 => format!("multipart/form-data; Boundary=\"{BOUNDARY}\""),
            _ => "multipart/form-data; boundary=".to_owned() + &"a".repeat(rng.random_range(199..204)),
        }),
        _ => Some(usual.to_owned()),
    }
}

fn form(fields: &Fields, rng: &mut StdRng) -> String {
    let mut form = String::new();
    for (name, value) in &fields.0 {
        if !form.is_empty() {
            form += pick(rng, &["&", "&", "&", "&", "&", "&&", "&=&", "&x&"]);
        }
        form += &percent_encode(name, rng);
        form.push('=');
        form += &percent_encode(value.text(), rng);
    }
    if rng.random_bool(0.03) {
        form += pick(
            rng,
            &["&", "&path", "&path=", "=", ";path=a", "&%", "&path=%", "&path=%2", "&path=%zz", "&path=%FF"],
        );
    }
    if rng.random_bool(0.002) {
        form += &"&x".repeat(990 + rng.random_range(0..15));
    }
    form
}

/// What must be encoded is; the rest sometimes.
fn percent_encode(text: &str, rng: &mut StdRng) -> String {
    let eager = rng.random_bool(0.1) && !is_format_name(text);
    let raw = rng.random_bool(0.1);
    let mut encoded = String::new();
    for character in text.chars() {
        let plain = character.is_ascii_alphanumeric()
            || "-_.:/".contains(character)
            || (raw && !character.is_ascii());
        if character == ' ' && rng.random_bool(0.5) {
            encoded.push('+');
        } else if plain && !(eager && rng.random_bool(0.5)) {
            encoded.push(character);
        } else {
            for byte in character.to_string().bytes() {
                encoded +=
                    &if rng.random_bool(0.5) { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
            }
        }
    }
    encoded
}

fn multipart(fields: &Fields, rng: &mut StdRng) -> Vec<u8> {
    let mut body = String::new();
    if rng.random_bool(0.05) {
        body += "preamble\r\n";
    }
    for (name, value) in &fields.0 {
        let name = name.replace(['\0', '"'], "");
        let disposition = pick(rng, &["Content-Disposition", "content-disposition"]);
        body += &format!("--{BOUNDARY}\r\n{disposition}: form-data; name=\"{name}\"");
        if rng.random_bool(0.05) {
            body += pick(rng, &["; filename=\"a.txt\"", "; filename=\"\"", "; filename=a", "; x=y"]);
        }
        body += "\r\n";
        if rng.random_bool(0.1) {
            body += "Content-Type: text/plain; charset=utf-8\r\n";
        }
        body += &format!("\r\n{}\r\n", value.text());
    }
    body += &format!("--{BOUNDARY}--\r\n");
    if rng.random_bool(0.05) {
        body += "epilogue";
    }
    let mut body = body.into_bytes();
    if rng.random_bool(0.03) {
        body.truncate(rng.random_range(0..body.len()));
    }
    body
}

fn json(fields: &Fields, rng: &mut StdRng) -> String {
    if rng.random_bool(0.03) {
        return pick(rng, TOP_LEVELS).to_owned();
    }
    let mut json = pick(rng, &["", "", "", " ", "\n\t\r "]).to_owned() + "{";
    for (index, (name, value)) in fields.0.iter().enumerate() {
        if index > 0 {
            json += pick(rng, &[",", ", ", ",\n"]);
        }
        json += &string(name, rng);
        json += pick(rng, &[":", ": ", " : "]);
        match value {
            _ if rng.random_bool(0.05) => json += &literal(rng),
            _ => json += &string(value.text(), rng),
        }
    }
    json.push('}');
    if rng.random_bool(0.03) {
        json += pick(rng, &[" ", "\n", "x", "{}", ",", "\0", "\u{feff}", "\u{a0}"]);
    }
    json
}

const TOP_LEVELS: &[&str] = &[
    "",
    " ",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.5",
    "1e5",
    "[]",
    "[1,2]",
    "\"x\"",
    "\"",
    "[",
    "{",
    "{}",
    " {} ",
    "NaN",
    "Infinity",
    "-Infinity",
    "nul",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{'a':1}",
    "\u{feff}{}",
    "[1,]",
    "// c\n{}",
    "{\"a\":01}",
    "{\"a\":1 2}",
    "{\"a\":\"\t\"}",
    "{\"\\ud800\":1}",
    "{\"a\":\"\\ud800\"}",
    "{\"a\":\"\\x\"}",
    "{\"a\":\"\\u12g4\"}",
    "{\"a\":\"\\u 123\"}",
    "{\"a\":1e999}",
    "{\"a\":tru}",
    "\"\\ud83d\\ude00\"",
];

fn literal(rng: &mut StdRng) -> String {
    const LITERALS: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "2016",
        "18446744073709551616",
        "-9223372036854775809",
        "1.0",
        "-0.0",
        "0.1",
        "1e3",
        "1E+2",
        "1e-7",
        "1e16",
        "1e15",
        "123456789.123456789",
        "1e400",
        "-1e400",
        "1e-400",
        "5e-324",
        "1.7976931348623157e308",
        "100000000000000000000.0",
        "0.00001",
        "0.0001",
        "[]",
        "{}",
        "[\"a\"]",
        "{\"a\":[1]}",
        "\"\"",
        "NaN",
        "Infinity",
        "-Infinity",
        "340282366920938463463374607431768211455",
        "340282366920938463463374607431768211456",
        "\"\\ud800\"",
        "\"a\\udfffb\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ude00\\ud83d\"",
        "\"\\ud800\\ud800\\udc00\"",
        "\"\\u0000\"",
        "\"2020-01-01\\ud80012:00\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
    ];
    match rng.random_range(0..40) {
        0 => format!("{:?}", f64::from_bits(rng.random::<u64>() & 0xBFFF_FFFF_FFFF_FFFF)),
        1 => format!("{}", rng.random::<f64>() * 1e6),
        2 => "9".repeat(rng.random_range(4298..4303)),
        3 => "[".repeat(200) + &"]".repeat(200),
        4 => "[".repeat(rng.random_range(100..128)) + "1",
        5 => format!("{:e}", rng.random::<f64>()),
        _ => pick(rng, LITERALS).to_owned(),
    }
}

fn string(text: &str, rng: &mut StdRng) -> String {
    let escapes = rng.random_bool(0.2) && !is_format_name(text);
    let mut json = "\"".to_owned();
    for character in text.chars() {
        match character {
            '"' => json += "\\\"",
            '\\' => json += "\\\\",
            '\0'..='\u{1f}' => json += &format!("\\u{:04x}", u32::from(character)),
            _ if escapes && rng.random_bool(0.5) => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    json += &if rng.random_bool(0.5) {
                        format!("\\u{unit:04x}")
                    } else {
                        format!("\\u{unit:04X}")
                    };
                }
            }
            _ => json.push(character),
        }
    }
    json + "\""
}

/// A deviation is told by it, and so it stays readable.
fn is_format_name(text: &str) -> bool {
    text.contains("8601")
}

/// Some bytes lost, doubled or replaced.
fn damage(body: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..4) {
        if body.is_empty() {
            return;
        }
        let position = rng.random_range(0..body.len());
        match rng.random_range(0..4) {
            0 => body.truncate(position),
            1 => {
                body.remove(position);
            }
            2 => body[position] = rng.random(),
            _ => body.insert(position, body[position]),
        }
    }
}
