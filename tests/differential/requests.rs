//! Random requests: random fields in random formats.

use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::bodies::{BOUNDARY, form, json, multipart};
use super::request::{Content, Request};
use super::texts::pick;
use super::{dates, texts};

const TIME_ZONES: [Tz; 4] = [Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata];
const REFERER_CHARACTERS_MAX: usize = 2048;

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
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    fn generate(rng: &mut StdRng) -> Self {
        let mut fields = Vec::new();
        for _ in 0..if rng.random_bool(0.03) { 2 } else { 1 } {
            if rng.random_bool(0.95) {
                fields.push(("date".to_owned(), dates::generate(rng)));
            }
            if rng.random_bool(0.9) {
                fields.push(("path".to_owned(), texts::generate(rng, 1000)));
            }
            if rng.random_bool(0.4) {
                let text = texts::generate(rng, REFERER_CHARACTERS_MAX);
                fields.push(("referer".to_owned(), text));
            }
            if rng.random_bool(0.3) {
                fields.push(("id".to_owned(), texts::id(rng)));
            }
            if rng.random_bool(0.1) {
                let name =
                    pick(rng, &["", "Date", "user", "path[]", "pat", "é", "date\0", " date"]).to_owned();
                fields.push((name, texts::generate(rng, 10)));
            }
        }
        if rng.random_bool(0.1) {
            fields.reverse();
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
