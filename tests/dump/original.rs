//! Fixtures that django-djaffar 0.1.10 itself has written, from PyPI on today's Django.

use std::fs;
use std::path::Path;
use std::process::Command;

use djaffar_tests::process::djaffar_prints;
use djaffar_tests::{tools, workspace};
use serde_json::{Value, json};

use crate::database::{PostgresDatabase, SqliteFile, dump};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dates {
    InUtc,
    /// `USE_TZ = False`: local times without an offset.
    Naive,
}

fn manage(database: &Path, dates: Dates, arguments: &[&str]) -> String {
    let output = Command::new(tools().join("original/bin/python"))
        .arg(workspace().join("tests/dump/original/manage.py"))
        .args(arguments)
        .env("DUMP_DATABASE", database)
        .env("DUMP_USE_TZ", if dates == Dates::InUtc { "yes" } else { "no" })
        .env("PYTHONUTF8", "1")
        .output()
        .expect("the original is there: run tests/setup");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("Django prints UTF-8")
}

/// The records with their new ids; the old key stands in the first digits of the new one.
fn with_old_keys(fixture: &str) -> Vec<Value> {
    let mut records: Vec<Value> = serde_json::from_str(fixture).expect("a fixture");
    for record in &mut records {
        let id = record["pk"].as_str().expect("a UUID").replace('-', "");
        assert_eq!(&id[12..13], "8", "a version of our own");
        record["pk"] = json!(i64::from_str_radix(&id[..12], 16).expect("hex digits"));
    }
    records
}

#[tokio::test]
async fn its_fixture_loads_and_dumps_back_equal() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (site, file) = (directory.path().join("site.sqlite3"), directory.path().join("djaffar.json"));
    manage(&site, Dates::InUtc, &["fill"]);
    // As a site would: everything in one file, with records of other models between ours.
    let fixture = manage(&site, Dates::InUtc, &["dumpdata", "auth.user", "djaffar", "--indent=2"]);
    fs::write(&file, fixture).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let (sqlite, postgres) = (SqliteFile::empty().await, PostgresDatabase::filled(&[]).await);
    for database in [&sqlite.url(), &postgres.url] {
        let loaded = djaffar_prints(["load", "--database", database, file]);
        assert_eq!(
            loaded,
            "60 activities loaded, 0 there already, 3 session infos, 3 records of other models skipped\n"
        );
        let original = manage(&site, Dates::InUtc, &["dumpdata", "djaffar.activity", "--indent=2"]);
        let original: Vec<Value> = serde_json::from_str(&original).expect("a fixture");
        let dumped = dump(database, ["activity", "--indent=2", "--user-type=int"]);
        assert_eq!(with_old_keys(&dumped), original);
        let original = manage(&site, Dates::InUtc, &["dumpdata", "djaffar.sessioninfo", "--indent=2"]);
        assert_eq!(dump(database, ["sessioninfo", "--indent=2"]), original, "byte for byte");
        let again = djaffar_prints(["load", "--database", database, file]);
        assert!(again.starts_with("0 activities loaded, 60 there already, "), "{again}");
    }
    assert_eq!(dump(&sqlite.url(), ["activity"]), dump(&postgres.url, ["activity"]), "the same ids anywhere");
}

#[tokio::test]
async fn its_naive_dates_are_those_of_the_time_zone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (site, file) = (directory.path().join("site.sqlite3"), directory.path().join("djaffar.jsonl"));
    manage(&site, Dates::Naive, &["fill"]);
    let fixture = manage(&site, Dates::Naive, &["dumpdata", "djaffar", "--format=jsonl"]);
    fs::write(&file, &fixture).expect("a file");
    let sqlite = SqliteFile::empty().await;
    let file = file.to_str().expect("UTF-8");
    djaffar_prints(["load", "--database", &sqlite.url(), "--time-zone", "Europe/Berlin", file]);
    let dumped = with_old_keys(&dump(&sqlite.url(), ["activity", "--user-type=int"]));
    let original: Vec<Value> = fixture
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
        .filter(|record| record["model"] == "djaffar.activity")
        .map(in_utc)
        .collect();
    assert_eq!(dumped, original);
}

/// As `dumpdata` would write it with `USE_TZ`, by the rules of the real time zone.
fn in_utc(mut record: Value) -> Value {
    use chrono::{NaiveDateTime, TimeZone};
    let date = record["fields"]["date"].as_str().expect("a date").to_owned();
    let local: NaiveDateTime = date.parse().expect("a date without an offset");
    let year_of_the_table = local.format("%Y").to_string().parse::<i32>().expect("a year");
    // Beyond what chrono-tz tabulates: winter time, as every year.
    let utc = if year_of_the_table > 2099 {
        local.and_utc() - chrono::TimeDelta::hours(1)
    } else {
        let zone = chrono_tz::Europe::Berlin;
        zone.from_local_datetime(&local).earliest().expect("no gap of summer time").to_utc()
    };
    let fraction = if date.contains('.') { "%.3f" } else { "" };
    let year = format!("{:04}", utc.format("%Y").to_string().parse::<i32>().expect("a year"));
    record["fields"]["date"] = json!(format!("{year}{}", utc.format(&format!("-%m-%dT%H:%M:%S{fraction}Z"))));
    record
}
