//! The shipped program in front of clients that mean no good, and what its logs tell of them.

mod logs;
mod rate_limits;
mod slow_http;

use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// A header of every request that is meant to come through the trusted proxy.
fn from(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

/// A form for the log, with further header lines.
fn form(headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\n{headers}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
