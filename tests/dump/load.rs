//! What a load leaves in the database: months, accounts, and nothing twice.

use std::fs;

use djaffar_tests::database::Database;
use djaffar_tests::process::djaffar_prints;

use crate::database::{PostgresDatabase, SqliteFile};

fn lines(dates: &[&str]) -> String {
    dates.iter().map(|date| format!("{{\"date\": \"{date}\", \"path\": \"a\"}}\n")).collect()
}

#[tokio::test]
async fn months_are_made_from_1970_to_now() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lines").display().to_string();
    let dates =
        ["1970-01-01", "1969-12-31", "2019-02-28T23:59:59.999999Z", "2019-03-01", "9999-01-01", "0001-01-01"];
    fs::write(&path, lines(&dates)).expect("a file");
    let database = PostgresDatabase::filled(&[]).await;
    djaffar_prints(["load", "--database", &database.url, &path]);
    let rows = Database::Postgres(database.url.clone());
    for (table, count) in
        [("activity_1970_01", 1), ("activity_2019_02", 1), ("activity_2019_03", 1), ("activity_default", 3)]
    {
        let sql: &'static str = format!("select count(*) from {table}").leak();
        assert_eq!(rows.number(sql).await, count, "{table}");
    }
}

#[tokio::test]
async fn accounts_close_and_are_those_of_a_load() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lines").display().to_string();
    let dates: Vec<String> = (0..3000).map(|number| format!("2026-11-01T00:00:00.{number:06}Z")).collect();
    let dates: Vec<&str> = dates.iter().map(String::as_str).collect();
    fs::write(&path, lines(&dates)).expect("a file");
    let (sqlite, postgres) = (SqliteFile::empty().await, PostgresDatabase::filled(&[]).await);
    let sqlite_rows = Database::Sqlite(sqlite.path().display().to_string());
    for (url, rows) in
        [(sqlite.url(), sqlite_rows), (postgres.url.clone(), Database::Postgres(postgres.url.clone()))]
    {
        for _ in 0..2 {
            djaffar_prints(["load", "--database", &url, &path]);
        }
        rows.assert_accounts().await;
        let accounting = rows.accounting().await;
        assert_eq!((accounting.stored, accounting.duplicate), (3000, 3000));
        let others = "select count(*) from accounting where writer_id not like 'load%' and delivered > 0";
        assert_eq!(rows.number(others).await, 0);
    }
}
