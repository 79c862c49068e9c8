//! Texts that are dates, or nearly.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::texts::pick;

pub(crate) fn generate(rng: &mut StdRng) -> String {
    let mut text = match rng.random_range(0..20) {
        0 => pick(rng, SPECIAL).to_owned(),
        1 => {
            // Where clocks are changed in one of the zones.
            let day = pick(
                rng,
                &["2020-03-29", "2020-10-25", "2021-03-14", "2021-11-07", "1941-10-01", "2150-03-31"],
            );
            format!("{day}T{:02}:{:02}", rng.random_range(0..5), rng.random_range(0..60))
        }
        2..6 => djangos(rng),
        6..10 => canonical(rng),
        _ => fromisoformat(rng),
    };
    if rng.random_bool(0.35) {
        for _ in 0..rng.random_range(1..3) {
            mutate(&mut text, rng);
        }
    }
    if rng.random_bool(0.02) {
        text = other_digits(&text, rng);
    }
    text
}

const SPECIAL: &[&str] = &[
    "",
    " ",
    "now",
    "today",
    "iso-8601",
    "ISO-8601",
    "1483000000",
    "1483000000.5",
    "None",
    "12:00",
    "2020",
    "2020-01",
    "2020-366",
    "2020366",
    "Thu, 29 Dec 2016 07:35:22 GMT",
    "0001-01-01",
    "9999-12-31T23:59:59.999999",
    "0001-01-01T00:00+00:01",
    "9999-12-31T23:59-00:01",
    "9999-12-31T20:00Z",
    "0000-01-01",
    "10000-01-01",
    "2016-12-31T23:59:60Z",
    "2020-02-30",
    "2019-02-29",
    "1900-02-29",
    "-2020-01-01",
    "+2020-01-01T00:00",
];

fn year(rng: &mut StdRng) -> i32 {
    match rng.random_range(0..12) {
        0 => rng.random_range(0..3),
        1 => rng.random_range(9998..10000),
        2 => rng.random_range(1..10000),
        3 => rng.random_range(1800..2300),
        _ => rng.random_range(1970..2040),
    }
}

/// As `Date.toISOString()` writes it.
fn canonical(rng: &mut StdRng) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        year(rng),
        rng.random_range(1..13),
        rng.random_range(1..29),
        rng.random_range(0..24),
        rng.random_range(0..60),
        rng.random_range(0..60),
        rng.random_range(0..1000)
    )
}

fn fromisoformat(rng: &mut StdRng) -> String {
    let year = year(rng);
    let (month, day) = (rng.random_range(0..14), rng.random_range(0..33));
    let (week, weekday) = (rng.random_range(0..55), rng.random_range(0..9));
    let mut text = match rng.random_range(0..10) {
        0 => format!("{year:04}W{week:02}"),
        1 => format!("{year:04}W{week:02}{weekday}"),
        2 => format!("{year:04}-W{week:02}"),
        3 => format!("{year:04}-W{week:02}-{weekday}"),
        4..6 => format!("{year:04}{month:02}{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02}"),
    };
    if rng.random_bool(0.1) {
        return text;
    }
    text += pick(
        rng,
        &["T", "T", "T", " ", "t", "_", "-", "+", "Z", "1", "W", ":", "\0", "é", "\u{2028}", "中", "😀", ""],
    );
    text += &clock(rng);
    text += &offset(rng);
    text
}

fn clock(rng: &mut StdRng) -> String {
    let colon = if rng.random_bool(0.8) { ":" } else { "" };
    let mut text = format!("{:02}", rng.random_range(0..25));
    for limit in [61, 61] {
        if rng.random_bool(0.15) {
            return text + &fraction(rng, 0.05);
        }
        text += &format!("{colon}{:02}", rng.random_range(0..limit));
    }
    text + &fraction(rng, 0.6)
}

fn fraction(rng: &mut StdRng, probability: f64) -> String {
    if !rng.random_bool(probability) {
        return String::new();
    }
    let mut text = pick(rng, &[".", ".", ".", ",", ",", ":", "", ";"]).to_owned();
    for _ in 0..rng.random_range(0..14) {
        text.push(char::from(rng.random_range(b'0'..=b'9')));
    }
    if rng.random_bool(0.05) {
        text.push_str(pick(rng, &["x", "é", "\0", " "]));
    }
    text
}

fn offset(rng: &mut StdRng) -> String {
    let sign = pick(rng, &["+", "-"]);
    let hours = if rng.random_bool(0.9) { rng.random_range(0..15) } else { rng.random_range(0..26) };
    let minutes = if rng.random_bool(0.9) { rng.random_range(0..60) } else { rng.random_range(0..100) };
    match rng.random_range(0..12) {
        0..3 => String::new(),
        3..5 => "Z".to_owned(),
        5 => pick(rng, &["z", "UTC", " Z", "Z ", "ZZ", "Z\0", "+", "-"]).to_owned(),
        6 => format!("{sign}{hours:02}"),
        7 => format!("{sign}{hours:02}{minutes:02}"),
        8 => format!("{sign}{}", clock(rng)),
        9 => format!("{sign}{hours:02}:{minutes:02}:{:02}{}", rng.random_range(0..61), fraction(rng, 0.5)),
        _ => format!("{sign}{hours:02}:{minutes:02}"),
    }
}

/// What only Django's own expression takes.
fn djangos(rng: &mut StdRng) -> String {
    let mut text = format!(
        "{:04}-{}-{}{}{}:{}",
        year(rng),
        rng.random_range(0..14),
        rng.random_range(0..33),
        pick(rng, &["T", " ", "T", " ", "t", "\u{a0}"]),
        rng.random_range(0..25),
        rng.random_range(0..61)
    );
    if rng.random_bool(0.7) {
        text += &format!(":{}{}", rng.random_range(0..61), fraction(rng, 0.5));
    }
    if rng.random_bool(0.3) {
        text += pick(rng, &[" ", "  ", "\t", "\u{a0}", "\u{3000}", "\u{1c}", "\u{85}", "\u{200b}", "\n"]);
    }
    text += &offset(rng);
    if rng.random_bool(0.1) {
        text += pick(rng, &["\n", "\r\n", "\n\n", " ", "\u{2028}"]);
    }
    text
}

fn mutate(text: &mut String, rng: &mut StdRng) {
    const ALPHABET: &[&str] = &[
        "0", "1", "2", "9", "-", ":", "T", " ", ".", ",", "+", "Z", "W", "\n", "\0", "é", "٣", "/",
        "\u{2212}", "e",
    ];
    let mut characters: Vec<String> = text.chars().map(String::from).collect();
    let position = rng.random_range(0..=characters.len());
    match rng.random_range(0..4) {
        0 => characters.insert(position, pick(rng, ALPHABET).to_owned()),
        1 => characters.truncate(position),
        _ if position == characters.len() => {}
        2 => characters[position] = pick(rng, ALPHABET).to_owned(),
        _ => {
            characters.remove(position);
        }
    }
    *text = characters.concat();
}

fn other_digits(text: &str, rng: &mut StdRng) -> String {
    let zero = *['\u{660}', '\u{966}', '\u{ff10}', '\u{1d7d8}', '\u{1fbf0}', '\u{11f50}', '\u{2080}']
        .choose(rng)
        .expect("there are some");
    text.chars()
        .map(|character| match character.to_digit(10) {
            Some(digit) if rng.random_bool(0.5) => {
                char::from_u32(u32::from(zero) + digit).expect("all runs are assigned or at least scalar")
            }
            _ => character,
        })
        .collect()
}
