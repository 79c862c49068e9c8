//! What a browser sends that was offline for a while.

use chrono::SecondsFormat;

use crate::journal::Sent;

/// zstd's fastest.
const COMPRESSION_LEVEL: i32 = 1;

/// How the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Zstd,
}

/// The bytes of one batch.
///
/// # Panics
/// Memory is short.
#[must_use]
pub fn batch_request(items: &[Sent], coding: Coding, cookie: Option<&str>) -> Vec<u8> {
    let lines: String = items.iter().map(line).collect();
    let (body, encoding) = match coding {
        Coding::Identity => (lines.into_bytes(), ""),
        Coding::Zstd => {
            let body = zstd::encode_all(lines.as_bytes(), COMPRESSION_LEVEL).expect("memory");
            (body, "Content-Encoding: zstd\r\n")
        }
    };
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /djaffar/batch/ HTTP/1.1\r\nHost: example.com\r\nUser-Agent: load/1.0\r\n{cookie}{encoding}\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

fn line(sent: &Sent) -> String {
    let Sent { id, path, .. } = sent;
    let date = sent.date.to_rfc3339_opts(SecondsFormat::Micros, true);
    format!(r#"{{"id": "{id}", "date": "{date}", "path": "{path}", "referer": "http://example.com/"}}"#)
        + "\n"
}
