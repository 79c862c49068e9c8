//! Compares ingest's intake with the real Django and REST framework, on
//! thousands of seeded random requests: status, messages and values.
//!
//! `DIFFERENTIAL_REQUESTS` (5,000) and `DIFFERENTIAL_SEED` (random) repeat or
//! extend a run; a request depends on the seed and its number only. What we do
//! differently on purpose is listed in `deviation.rs`; each use of that list
//! is counted in the summary.

mod bodies;
mod dates;
mod deviation;
mod outcome;
mod reference;
mod request;
mod requests;
mod texts;

use std::collections::BTreeMap;
use std::env;

use bytes::Bytes;
use chrono::DateTime;
use ingest::intake::{BodyFormat, Intake, IntakeConfig};

use deviation::Deviation;
use outcome::Outcome;
use request::{Content, Request};

/// More differences than this say nothing new.
const PRINTED_MAX: usize = 20;

#[test]
fn intake_answers_as_django_does() {
    let requests_max = variable("DIFFERENTIAL_REQUESTS").unwrap_or(5_000);
    let seed = variable("DIFFERENTIAL_SEED").unwrap_or_else(rand::random);
    println!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_REQUESTS={requests_max}");

    let requests: Vec<Request> = (0..requests_max).map(|number| requests::generate(seed, number)).collect();
    let references = reference::answer(&requests);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut differences = 0;
    for (number, (request, reference)) in requests.iter().zip(references).enumerate() {
        let ours = answer(request);
        let count = if ours == reference {
            ours.label().to_owned()
        } else if let Some(deviation) = Deviation::explain(request, &reference, &ours) {
            format!("deviation: {}", deviation.reason)
        } else {
            differences += 1;
            if differences <= PRINTED_MAX {
                println!("request {number}: {request}\n    Django: {reference:?}\n    intake: {ours:?}");
            }
            "difference".to_owned()
        };
        *counts.entry(count).or_default() += 1;
    }
    for (what, count) in &counts {
        println!("{count:>7} {what}");
    }
    assert_eq!(differences, 0, "intake differs from Django");
    // A generator that only makes rubbish would compare nothing.
    assert!(counts.get("accepted").copied().unwrap_or(0) as u64 > requests_max / 8, "too few were accepted");
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}

fn answer(request: &Request) -> Outcome {
    let intake = Intake::new(IntakeConfig {
        time_zone: request.time_zone,
        referer_characters_max: request.referer_characters_max,
    });
    let header = request.referer_header.as_deref();
    let result = match &request.content {
        Content::Query(query) => intake.pixel(query, header, DateTime::UNIX_EPOCH),
        Content::Body { content_type, body } => {
            let content_type = content_type.as_deref().map(str::as_bytes);
            let Some(format) = BodyFormat::from_content_type(content_type) else {
                return Outcome::UnsupportedMediaType;
            };
            intake.log(&format, &Bytes::from(body.clone()), header)
        }
    };
    outcome::of_intake(result, request)
}
