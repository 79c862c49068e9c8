//! A dump that is loaded elsewhere dumps equal, in every format.

use std::fs;
use std::path::Path;

use djaffar_tests::process::djaffar_prints;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use shared::event::{
    Activity, ClientAddress, EventDate, EventId, PagePath, Referer, SessionId, UserAgent, UserId,
};
use uuid::Uuid;

use crate::database::{PostgresDatabase, SqliteFile, dump};
use crate::{TABLES, rows};

const FORMATS: [&str; 3] = ["django", "ndjson", "csv"];
/// Each is a process that dumps and one that loads, for three formats.
const CASES: u32 = 12;

fn dumps(database: &str, format: &str) -> Vec<String> {
    TABLES.iter().map(|table| dump(database, [*table, "--format", format])).collect()
}

/// Dumps `from` into files, loads them into `to`, and dumps that.
fn assert_equal_there(from: &str, to: &str, format: &str, directory: &Path) {
    let dumped = dumps(from, format);
    let mut arguments = vec!["load".to_owned(), "--database".to_owned(), to.to_owned()];
    for (table, text) in TABLES.iter().zip(&dumped) {
        let path = directory.join(format!("{table}.{format}"));
        fs::write(&path, text).expect("a file");
        arguments.push(path.display().to_string());
    }
    djaffar_prints(&arguments);
    assert_eq!(dumps(to, format), dumped, "{format}");
    let again = djaffar_prints(&arguments);
    assert!(again.starts_with("0 activities loaded, "), "{again}");
    assert_eq!(dumps(to, format), dumped, "{format}, loaded twice");
}

#[tokio::test]
async fn rows_that_are_hard_to_print_survive_both_databases() {
    // The fixture cuts dates to milliseconds, which the rows of one id and two dates may not survive.
    let activities = rows::activities();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = SqliteFile::filled(&activities).await;
    for format in FORMATS {
        let postgres = PostgresDatabase::filled(&[]).await;
        assert_equal_there(&source.url(), &postgres.url, format, directory.path());
        let sqlite = SqliteFile::empty().await;
        assert_equal_there(&postgres.url, &sqlite.url(), format, directory.path());
    }
}

fn text(characters_max: usize) -> impl Strategy<Value = String> {
    let awkward = prop_oneof![
        Just("\"".to_owned()),
        Just("\"\"".to_owned()),
        Just("\\".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just(",".to_owned()),
        Just(";\t".to_owned()),
        Just("=1+1".to_owned()),
        Just("@SUM(A1)".to_owned()),
        Just("null".to_owned()),
        Just("\\N".to_owned()),
        Just("😀".to_owned()),
        Just("\u{10ffff}".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("\u{2028}".to_owned()),
        Just("}],".to_owned()),
        Just("'".to_owned()),
        Just(" ".to_owned()),
        any::<char>().prop_filter("no text holds it", |character| *character != '\0').prop_map(String::from),
    ];
    proptest::collection::vec(awkward, 1..characters_max / 4).prop_map(|parts| parts.concat())
}

fn date() -> impl Strategy<Value = EventDate> {
    const FIRST: i64 = -62_135_596_800_000_000;
    const LAST: i64 = 253_402_300_799_999_999;
    let micros = prop_oneof![
        Just(FIRST),
        Just(LAST),
        FIRST..=LAST,
        (1_000_000_i64..2_000_000).prop_map(|seconds| seconds * 1_000_000),
        (1_480_000_000_000_i64..1_480_000_010_000).prop_map(|millis| millis * 1000),
    ];
    micros.prop_map(|micros| EventDate::from_micros(micros).expect("a date of the years 1 to 9999"))
}

fn activity() -> impl Strategy<Value = Activity> {
    let ids = (any::<u128>(), date(), date());
    let keys =
        (proptest::option::of(text(40)), proptest::option::of(text(40)), any::<Option<std::net::IpAddr>>());
    let texts = (text(80), prop_oneof![Just(String::new()), text(80)], text(40));
    (ids, keys, texts).prop_map(
        |((id, date, received_at), (user, session, address), (path, referer, agent))| Activity {
            id: EventId(Uuid::from_u128(id)),
            date,
            received_at,
            session_id: session.map(|key| SessionId::new(key).expect("a short key")),
            user_id: user.map(|id| UserId::new(id).expect("a short id")),
            ip_address: address.map(ClientAddress::new),
            path: PagePath::new(path).expect("a short path"),
            referer: Referer::new(referer, 2048).expect("a short referer"),
            user_agent: UserAgent::from_header(agent.as_bytes()),
        },
    )
}

#[test]
fn any_rows_survive_every_format() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut runner = TestRunner::new(ProptestConfig { cases: CASES, ..ProptestConfig::default() });
    let outcome = runner.run(&proptest::collection::vec(activity(), 0..40), |activities| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let source = runtime.block_on(SqliteFile::filled(&activities));
        for format in FORMATS {
            let there = runtime.block_on(SqliteFile::empty());
            assert_equal_there(&source.url(), &there.url(), format, directory.path());
        }
        Ok(())
    });
    outcome.expect("every case");
}
