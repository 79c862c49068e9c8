//! How many instructions the hot functions take, pinned: a regression shows on the busiest machine.
//!
//! `tests/run instructions` compiles our crates optimized and their dependencies as
//! for the other tests (`instructions.toml`), so the counts are not those of the
//! shipped build, but they move with them. A count beyond its limit fails the run;
//! where more is meant, the new count is written here, with the reason in the commit.

#![expect(clippy::disallowed_methods, reason = "the macro's `main` exits")]

mod activities;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use activities::activity;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use ingest::http::client_address::Https;
use ingest::identity::{PresentedSession, ResolvedSession, SameSite, SessionConfig, Sessions};
use ingest::intake::{Batch, BatchFormat, BodyFormat, Intake, IntakeConfig, LogFields};
use ingest::rate_limit::KeyedLimiter;
use shared::event::{Activity, EventId};
use shared::frame::{Compression, DecodedFrame, EncodedActivity, Frame, FrameBuilder, FrameId, decode};
use shared::secret::Secret;
use shared::store::StoredActivity;
use uuid::Uuid;
use writer::store::postgres::copy_stream;

/// What a frame holds under load.
const FRAME_ACTIVITIES: u32 = 250;
const BATCH_ITEMS: u32 = 100;
/// Compilers and their libraries change.
const SLACK_PERCENT: u64 = 5;

fn pinned(instructions: u64) -> LibraryBenchmarkConfig {
    let limit = instructions + instructions * SLACK_PERCENT / 100;
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, limit)]));
    config
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_764_028_800, 0).expect("an instant")
}

/// Always the same.
fn activities(count: u32) -> Vec<Activity> {
    let id = |number: u32| Uuid::from_u128(0x019a_b5c7_d000_7000_8000_0000_0000_0000 + u128::from(number));
    (0..count).map(|number| Activity { id: EventId(id(number)), ..activity(number, now()) }).collect()
}

fn intake() -> Intake {
    Intake::new(IntakeConfig { time_zone: chrono_tz::Tz::UTC, referer_characters_max: 2048 })
}

fn form() -> (Intake, Bytes) {
    let body = "id=019ab5c7-d000-7000-8000-000000000000&date=2025-11-25T00:29:13.148Z&\
                path=https%3A%2F%2Fshop.example.com%2Fusers%2Fme%2Fcart%2F&\
                referer=https%3A%2F%2Fshop.example.com%2Fproducts%2Fcategory%2Fgarden";
    (intake(), Bytes::from_static(body.as_bytes()))
}

#[library_benchmark]
#[bench::form(args = (), setup = form, config = pinned(9_520))]
fn intake_of_a((intake, body): (Intake, Bytes)) -> (Intake, Bytes, LogFields) {
    let fields = intake.log(&BodyFormat::Form, black_box(&body), None).expect("a good form");
    black_box((intake, body, fields))
}

fn lines() -> (Intake, Bytes) {
    let line = |activity: &Activity| {
        let date = activity.date.instant().to_rfc3339_opts(SecondsFormat::Millis, true);
        let (id, path, referer) = (activity.id.0, activity.path.as_str(), activity.referer.as_str());
        format!("{{\"id\":\"{id}\",\"date\":\"{date}\",\"path\":\"{path}\",\"referer\":\"{referer}\"}}\n")
    };
    (intake(), Bytes::from(activities(BATCH_ITEMS).iter().map(line).collect::<String>()))
}

#[library_benchmark]
#[bench::hundred(args = (), setup = lines, config = pinned(554_235))]
fn intake_of_lines((intake, body): (Intake, Bytes)) -> (Intake, usize) {
    let batch: Batch = intake.batch(BatchFormat::Lines, black_box(&body)).expect("a good batch");
    let count = black_box(batch).items.len();
    (intake, count)
}

fn visit() -> (Sessions, HeaderMap) {
    let config = SessionConfig {
        secret_key: Secret::new("a secret key for the benchmark alone".to_owned()),
        fallbacks: Vec::new(),
        cookie_name: "djaffar_session".to_owned(),
        domain: None,
        same_site: SameSite::Lax,
        age: std::time::Duration::from_secs(1_209_600),
        expire_at_browser_close: false,
    };
    let sessions = Sessions::new(&config).expect("good settings");
    let begun = sessions.resolve(&HeaderMap::new(), now(), Https::No).set_cookie.expect("a new session");
    let cookie = begun.to_str().expect("ASCII").split(';').next().unwrap_or_default();
    let cookie = HeaderValue::from_str(&format!("consent=yes; {cookie}")).expect("a header");
    (sessions, HeaderMap::from_iter([(COOKIE, cookie)]))
}

#[library_benchmark]
#[bench::cookie(args = (), setup = visit, config = pinned(15_022))]
fn verify_a((sessions, headers): (Sessions, HeaderMap)) -> (Sessions, HeaderMap, ResolvedSession) {
    let session = sessions.resolve(black_box(&headers), now(), Https::No);
    assert_eq!(session.presented, PresentedSession::Verified);
    (sessions, headers, session)
}

fn known_address() -> (KeyedLimiter, IpAddr) {
    let limiter = KeyedLimiter::new("600/min".parse().expect("a rate"));
    let address = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
    limiter.charge(&address, 1).expect("the first of its burst");
    (limiter, address)
}

#[library_benchmark]
#[bench::address(args = (), setup = known_address, config = pinned(419))]
fn charge_an((limiter, address): (KeyedLimiter, IpAddr)) -> KeyedLimiter {
    limiter.charge(black_box(&address), 1).expect("the second of its burst");
    limiter
}

fn frame(activities: Vec<Activity>) -> Frame {
    let mut builder = FrameBuilder::new(usize::MAX);
    for activity in activities {
        builder.push(&EncodedActivity::from(&activity));
    }
    builder.finish(FrameId(Uuid::from_u128(7)), Compression::None)
}

#[library_benchmark]
#[bench::frame(args = (FRAME_ACTIVITIES), setup = activities, config = pinned(664_877))]
fn encode_a(activities: Vec<Activity>) -> Frame {
    black_box(frame(black_box(activities)))
}

fn encoded() -> Bytes {
    // As it comes from the queue: in memory of its own.
    Bytes::copy_from_slice(&frame(activities(FRAME_ACTIVITIES)).bytes)
}

#[library_benchmark]
#[bench::frame(args = (), setup = encoded, config = pinned(880_357))]
fn decode_a(bytes: Bytes) -> DecodedFrame {
    black_box(decode(black_box(bytes)).expect("our own frame"))
}

/// With memory for them, which the writer keeps from batch to batch.
fn rows() -> (Vec<StoredActivity>, Vec<u8>) {
    let stored = |activity| StoredActivity::of_no_frame(activity, 0);
    let rows: Vec<_> = activities(FRAME_ACTIVITIES).into_iter().map(stored).collect();
    let mut stream = Vec::new();
    copy_stream(&rows, &mut stream);
    (rows, stream)
}

#[library_benchmark]
#[bench::rows(args = (), setup = rows, config = pinned(106_873))]
fn encode_copy_of((rows, mut stream): (Vec<StoredActivity>, Vec<u8>)) -> (Vec<StoredActivity>, Vec<u8>) {
    copy_stream(black_box(&rows), &mut stream);
    (rows, black_box(stream))
}

library_benchmark_group!(
    name = hot,
    benchmarks = [intake_of_a, intake_of_lines, verify_a, charge_an, encode_a, decode_a, encode_copy_of]
);

main!(library_benchmark_groups = hot);
