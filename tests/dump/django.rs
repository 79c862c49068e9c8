//! The same rows, the same bytes as the real Django prints.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use djaffar_tests::{tools, workspace};
use serde_json::{Value, json};
use shared::event::Activity;

use crate::database::{PostgresDatabase, SqliteFile, dump};
use crate::{TABLES, rows};

/// Those of one line, and of lines.
const LAYOUTS: [Option<&str>; 2] = [None, Some("2")];
const RARE_LAYOUTS: [Option<&str>; 3] = [Some("0"), Some("1"), Some("4")];

/// What Django's own command prints.
fn dumpdata(path: &Path, table: &str, indent: Option<&str>) -> String {
    let mut arguments = vec!["dumpdata".to_owned(), format!("djaffar.{table}")];
    arguments.extend(indent.map(|indent| format!("--indent={indent}")));
    manage(path, &arguments, "")
}

fn manage(path: &Path, arguments: &[String], input: &str) -> String {
    let mut child = Command::new(tools().join("django/bin/python"))
        .arg(workspace().join("tests/dump/manage.py"))
        .args(arguments)
        .env("DUMP_DATABASE", path)
        .env("PYTHONUTF8", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Django is there: run tests/setup");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("Django reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("Django ends");
    assert!(output.status.success(), "manage.py {arguments:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("Django prints UTF-8")
}

fn fixture(database: &str, table: &str, indent: Option<&str>) -> String {
    let indent = indent.map(|indent| format!("--indent={indent}"));
    dump(database, [table].into_iter().chain(indent.as_deref()))
}

/// `others` hold the same rows, where Django cannot look.
fn assert_same_dumps(file: &SqliteFile, others: &[&str], indents: &[Option<&str>]) {
    for table in TABLES {
        for indent in indents {
            let django = dumpdata(&file.path(), table, *indent);
            for database in [file.url().as_str()].iter().chain(others) {
                assert_eq!(fixture(database, table, *indent), django, "{database}, {table}, {indent:?}");
            }
        }
    }
}

#[tokio::test]
async fn empty_tables_look_like_djangos() {
    assert_same_dumps(&SqliteFile::empty().await, &[], &LAYOUTS);
}

#[tokio::test]
async fn every_indent_looks_like_djangos() {
    assert_same_dumps(&SqliteFile::filled(&rows::activities()[1..3]).await, &[], &RARE_LAYOUTS);
}

#[tokio::test]
async fn rows_of_our_stores_look_like_djangos() {
    let activities = rows::activities();
    let file = SqliteFile::filled(&activities).await;
    let postgres = PostgresDatabase::filled(&activities).await;
    assert_same_dumps(&file, &[&postgres.url], &LAYOUTS);
    let printed: Value = serde_json::from_str(&fixture(&file.url(), "activity", None)).expect("JSON");
    assert_eq!(printed.as_array().map(Vec::len), Some(activities.len()), "no row is missing");
}

#[tokio::test]
async fn rows_of_djangos_orm_are_ours() {
    let activities = rows::activities();
    let session_infos = rows::batch(&activities).session_infos;
    let input = json!({
        "activities": activities.iter().map(orm_row).collect::<Vec<_>>(),
        "session_infos": session_infos.iter().map(|info| json!({
            "session": info.session_id.as_str(),
            "user_agent": info.user_agent.as_str(),
        })).collect::<Vec<_>>(),
    });
    let djangos = SqliteFile::empty().await;
    manage(&djangos.path(), &["insert".to_owned()], &input.to_string());
    let ours = SqliteFile::filled(&activities).await;
    for table in TABLES {
        assert_eq!(fixture(&djangos.url(), table, None), fixture(&ours.url(), table, None));
    }
}

fn orm_row(activity: &Activity) -> Value {
    json!({
        "id": activity.id.0.to_string(),
        "user": activity.user_id.as_ref().map(|id| id.as_str()),
        "session": activity.session_id.as_ref().map(|id| id.as_str()),
        "ip_address": activity.ip_address.map(|address| address.to_string()),
        "date": activity.date.instant().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        "path": activity.path.as_str(),
        "referer": activity.referer.as_str(),
    })
}
