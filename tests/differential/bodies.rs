//! The formats of a body, with their oddities.

use rand::RngExt;
use rand::rngs::StdRng;

use super::requests::Fields;
use super::texts::pick;

pub(crate) const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

pub(crate) fn form(fields: &Fields, rng: &mut StdRng) -> String {
    let mut form = String::new();
    for (name, value) in &fields.0 {
        if !form.is_empty() {
            form += pick(rng, &["&", "&", "&", "&", "&", "&&", "&=&", "&x&"]);
        }
        form += &percent_encode(name, rng);
        form.push('=');
        form += &percent_encode(value, rng);
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

pub(crate) fn multipart(fields: &Fields, rng: &mut StdRng) -> Vec<u8> {
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
        body += &format!("\r\n{}\r\n", value);
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

pub(crate) fn json(fields: &Fields, rng: &mut StdRng) -> String {
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
        json += &if rng.random_bool(0.05) { literal(rng) } else { string(value, rng) };
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
