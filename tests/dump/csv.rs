//! CSV: the rows of the lines of JSON, as a spreadsheet or another database reads them.

use serde_json::Value;

use crate::database::{PostgresDatabase, SqliteFile, dump};
use crate::rows;

#[tokio::test]
async fn a_table_is_a_heading_and_rows() {
    let file = SqliteFile::filled(&rows::activities()[..2]).await;
    let printed = dump(&file.url(), ["activity", "--format", "csv"]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "id,date,received_at,user,session,ip_address,path,referer");
    let second = &rows::activities()[1];
    assert!(
        lines.iter().any(|line| line.starts_with(&second.id.0.to_string())
            && line.ends_with(r#","""quoted"" 'single' `back`","""quoted"" 'single' `back`""#)),
        "{printed}"
    );
    let infos = dump(&file.url(), ["sessioninfo", "--format", "csv"]);
    assert!(infos.starts_with("session,user_agent,first_seen\n"), "{infos}");
    let empty = dump(&SqliteFile::empty().await.url(), ["activity", "--format", "csv"]);
    assert_eq!(empty.lines().count(), 1, "an empty table has its heading");
}

#[tokio::test]
async fn both_databases_print_the_values_of_the_lines_of_json() {
    let activities = rows::activities();
    let file = SqliteFile::filled(&activities).await;
    let postgres = PostgresDatabase::filled(&activities).await;
    let printed = dump(&file.url(), ["activity", "--format", "csv"]);
    assert_eq!(dump(&postgres.url, ["activity", "--format", "csv"]), printed);
    let mut reader = ::csv::Reader::from_reader(printed.as_bytes());
    let names = reader.headers().expect("a heading").clone();
    let lines = dump(&file.url(), ["activity", "--format", "ndjson"]);
    let mut count = 0;
    for (record, line) in reader.records().zip(lines.lines()) {
        let record = record.expect("a row");
        let row: Value = serde_json::from_str(line).expect("a line of JSON");
        for (name, value) in names.iter().zip(record.iter()) {
            assert_eq!(row[name].as_str().unwrap_or_default(), value, "{name}");
        }
        count += 1;
    }
    assert_eq!(count, activities.len());
}
