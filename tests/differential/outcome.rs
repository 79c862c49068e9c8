//! What became of a request, in terms that both sides can be brought to.

use std::collections::BTreeMap;

use ingest::intake::{LogFields, Rejection};
use serde_json::Value;
use uuid::Uuid;

use super::request::{Content, Request};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted {
        /// Microseconds; none is now.
        date: Option<i64>,
        path: String,
        referer: String,
        /// None is made by the server.
        id: Option<String>,
    },
    Invalid(BTreeMap<String, Vec<String>>),
    Malformed(String),
    UnsupportedMediaType,
    /// Django answered 500.
    Crash(String),
}

impl Outcome {
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Invalid(_) => "invalid",
            Self::Malformed(_) => "malformed",
            Self::UnsupportedMediaType => "unsupported media type",
            Self::Crash(_) => "crash",
        }
    }

    /// The messages of that field.
    pub(crate) fn messages(&self, field: &str) -> &[String] {
        match self {
            Self::Invalid(errors) => errors.get(field).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }
}

pub(crate) fn of_reference(answer: &Value) -> Outcome {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match answer["status"].as_i64() {
        Some(204) => {
            let values = &answer["values"];
            Outcome::Accepted {
                date: values["date"].as_i64(),
                path: text(&values["path"]),
                referer: text(&values["referer"]),
                id: values["id"].as_str().map(str::to_owned),
            }
        }
        Some(400) => {
            let answer = &answer["answer"];
            if let Some(suspicious) = answer["suspicious"].as_str() {
                return Outcome::Malformed(suspicious.to_owned());
            }
            let Some(errors) = answer["errors"].as_object() else {
                return Outcome::Malformed(known_detail(&text(&answer["detail"])));
            };
            // Errors that concern no field are a detail in Djaffar's contract.
            if let Some(detail) = errors.get("non_field_errors") {
                return Outcome::Malformed(text(&detail[0]));
            }
            let messages = |value: &Value| value.as_array().map(|all| all.iter().map(text).collect());
            Outcome::Invalid(
                errors
                    .iter()
                    .map(|(field, value)| (field.clone(), messages(value).unwrap_or_default()))
                    .collect(),
            )
        }
        Some(415) => Outcome::UnsupportedMediaType,
        _ => Outcome::Crash(text(&answer["answer"]["crash"])),
    }
}

/// DRF goes on with the parser's words, which change with Python; ours end here.
fn known_detail(detail: &str) -> String {
    detail.split_once(" - ").map_or(detail, |(known, _)| known).to_owned()
}

pub(crate) fn of_intake(result: Result<LogFields, Rejection>, request: &Request) -> Outcome {
    match result {
        Ok(fields) => {
            let is_now = matches!(request.content, Content::Query(_)) && fields.date.micros() == 0;
            let id = fields.id.0;
            Outcome::Accepted {
                date: (!is_now).then(|| fields.date.micros()),
                path: fields.path.into_string(),
                referer: fields.referer.into_string(),
                id: (!is_made_here(id)).then(|| id.to_string()),
            }
        }
        Err(Rejection::Invalid(errors)) => Outcome::Invalid(
            errors
                .iter()
                .map(|(field, messages)| {
                    (field.to_owned(), messages.iter().map(|text| text.to_string()).collect())
                })
                .collect(),
        ),
        Err(Rejection::Malformed(detail)) => Outcome::Malformed(known_detail(detail)),
    }
}

/// Whether the time in a UUIDv7 is now; in random digits it is not.
fn is_made_here(id: Uuid) -> bool {
    let made_at = (id.as_u128() >> 80) as i64;
    (shared::time::now().timestamp_millis() - made_at).abs() < 3_600_000
}
