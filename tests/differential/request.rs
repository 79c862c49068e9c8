//! One request, as both sides are given it.

use std::fmt;

use chrono_tz::Tz;
use serde_json::{Value, json};

pub(crate) struct Request {
    pub(crate) time_zone: Tz,
    pub(crate) referer_characters_max: usize,
    pub(crate) referer_header: Option<Vec<u8>>,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    /// A log request.
    Body { content_type: Option<String>, body: Vec<u8> },
    /// A pixel.
    Query(String),
}

impl Request {
    /// The line for `reference.py`.
    pub(crate) fn to_json(&self) -> Value {
        let mut line = json!({
            "time_zone": self.time_zone.name(),
            "referer_characters_max": self.referer_characters_max,
            "referer_header": self.referer_header.as_deref().map(hex),
        });
        match &self.content {
            Content::Body { content_type, body } => {
                line["content_type"] = json!(content_type);
                line["body"] = json!(hex(body));
            }
            Content::Query(query) => line["query"] = json!(query),
        }
        line
    }

    /// What was sent, body or query.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Body { body, .. } => body,
            Content::Query(query) => query.as_bytes(),
        }
    }

    pub(crate) fn content_type(&self) -> &str {
        match &self.content {
            Content::Body { content_type, .. } => content_type.as_deref().unwrap_or_default(),
            Content::Query(_) => "",
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        let kind = match &self.content {
            Content::Body { content_type, .. } => format!("{content_type:?}"),
            Content::Query(_) => "pixel".to_owned(),
        };
        let header = self.referer_header.as_deref().map(<[u8]>::escape_ascii);
        write!(formatter, "{} {kind}", self.time_zone)?;
        if let Some(header) = header {
            write!(formatter, " Referer: {header:.60}")?;
        }
        write!(formatter, "\n    {} bytes: ", bytes.len())?;
        match bytes.len() {
            0..=400 => write!(formatter, "{}", bytes.escape_ascii()),
            _ => write!(
                formatter,
                "{}...{}",
                bytes[..200].escape_ascii(),
                bytes[bytes.len() - 200..].escape_ascii()
            ),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
