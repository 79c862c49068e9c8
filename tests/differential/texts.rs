//! Texts with whatever a path, a referer or an id may hold.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

pub(crate) fn pick<'a>(rng: &mut StdRng, texts: &[&'a str]) -> &'a str {
    texts.choose(rng).expect("there are some")
}

/// Spaces for Python, spaces for others, and what only looks like one.
const SPACES: &[&str] = &[
    " ", "\t", "\n", "\r", "\u{b}", "\u{c}", "\u{1c}", "\u{1d}", "\u{1e}", "\u{1f}", "\u{85}", "\u{a0}",
    "\u{1680}", "\u{180e}", "\u{2000}", "\u{200a}", "\u{200b}", "\u{2028}", "\u{2029}", "\u{202f}",
    "\u{205f}", "\u{2060}", "\u{3000}", "\u{feff}",
];

const PIECES: &[&str] = &[
    "/",
    "users/me/cart/",
    "a",
    "é",
    "中",
    "😀",
    "\u{10ffff}",
    "\0",
    "\u{1}",
    "\u{7f}",
    "\u{202e}",
    "%",
    "+",
    "&",
    "=",
    ";",
    "\"",
    "\\",
    "{",
    "}",
    "e\u{301}",
    "\u{fffd}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{feff}",
];

pub(crate) fn generate(rng: &mut StdRng, characters_max: usize) -> String {
    let mut text = String::new();
    if rng.random_bool(0.15) {
        text += pick(rng, SPACES);
    }
    match rng.random_range(0..20) {
        0 => {}
        1 => {
            let characters = characters_max + rng.random_range(0..3) - 1;
            text += &pick(rng, &["a", "é", "😀", " ", "a "]).repeat(characters);
        }
        2..8 => {
            for _ in 0..rng.random_range(1..6) {
                text += pick(rng, PIECES);
            }
        }
        _ => text += pick(rng, &["users/me/cart/", "/", "http://example.com/a?b=c&d=e#f", "/größe"]),
    }
    if rng.random_bool(0.15) {
        text += pick(rng, SPACES);
    }
    text
}

pub(crate) fn id(rng: &mut StdRng) -> String {
    let uuid = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
    let mut text = match rng.random_range(0..8) {
        0 => uuid.simple().to_string(),
        1 => uuid.braced().to_string(),
        2 => uuid.urn().to_string(),
        3 => uuid.to_string().to_uppercase(),
        4 => pick(rng, &["", "1", "None", "{}", "urn:uuid:", "0x123456789012345678901234567890"]).to_owned(),
        _ => uuid.to_string(),
    };
    if rng.random_bool(0.25) {
        let position = rng.random_range(0..=text.len());
        text.insert_str(
            position,
            pick(rng, &["-", "{", "}", "urn:", "uuid:", " ", "g", "_", "+", "é", "0", "\0"]),
        );
        if rng.random_bool(0.5) {
            text.pop();
        }
    }
    text
}
