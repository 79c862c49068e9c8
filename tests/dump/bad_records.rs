//! What is bad is named with its file, line and reason; the rest is loaded.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use djaffar_tests::binary;
use djaffar_tests::database::Database;
use djaffar_tests::process::djaffar;

use crate::database::{PostgresDatabase, SqliteFile, dump};

const GOOD: &str = r#"{"date": "2016-12-29", "path": "a"}"#;

fn load(database: &str, arguments: &[&str]) -> Output {
    djaffar(["load", "--database", database].iter().chain(arguments))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn bad_records_are_named_and_left_out() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).expect("a file");
        path.display().to_string()
    };
    let lines = write("lines", &format!("{GOOD}\n\nnonsense\n{{\"path\": \"b\"}}\n"));
    let fixture = write(
        "fixture",
        "[\n{\"model\": \"djaffar.activity\",\n\"pk\": 1, \"fields\": {\"date\": \"2016-12-29\", \"path\": \"\"}},\n\
         {\"model\": \"djaffar.activity\", \"pk\": 2, \"fields\": {\"date\": \"2016-12-29\", \"path\": \"b\"}},\n7\n",
    );
    let table = write("table", "date,path\n2016-12-29,\"c\nd\"\n2016-12-29\n,e\n2016-12-30,f\n");
    let heading = write("heading", "date,paht\n2016-12-29,g\n");
    let file = SqliteFile::empty().await;
    let output = load(&file.url(), &[&lines, &fixture, &table, &heading]);
    assert_eq!(output.status.code(), Some(1));
    let expected = [
        format!("djaffar load: {lines}:3: it is no object"),
        format!("djaffar load: {lines}:4: date is missing"),
        format!("djaffar load: {fixture}:2: path is empty"),
        format!("djaffar load: {fixture}:5: it is no object"),
        format!(
            "djaffar load: {fixture}:6: the rest of the file cannot be read: it ends in the middle of the list"
        ),
        format!("djaffar load: {table}:4: it has 1 values, the heading 2"),
        format!("djaffar load: {table}:5: date is missing"),
        format!(
            "djaffar load: {heading}:1: column 2 of the heading, `paht`, is not known; those of a dump are id, \
             date, received_at, user, session, ip_address, path, referer and session, user_agent, first_seen"
        ),
        "djaffar: 8 bad records are left out; mend them and load again".to_owned(),
    ];
    let printed = text(&output.stderr);
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        text(&output.stdout),
        "4 activities loaded, 0 there already, 0 session infos, 8 bad records left out\n"
    );
    assert_eq!(dump(&file.url(), ["activity", "--format", "ndjson"]).lines().count(), 4);
}

#[tokio::test]
async fn what_the_database_refuses_is_named_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lines").display().to_string();
    let lines: Vec<String> = (1..=300)
        .map(|number| format!(r#"{{"date": "2016-12-29", "path": "{number}", "session": "s{number}"}}"#))
        .collect();
    fs::write(&path, lines.join("\n")).expect("a file");
    let database = PostgresDatabase::filled(&[]).await;
    let rows = Database::Postgres(database.url.clone());
    rows.sql("ALTER TABLE activity ADD CONSTRAINT ours CHECK (path NOT IN ('17', '290'))").await;
    let output = load(&database.url, &[&path]);
    assert_eq!(output.status.code(), Some(1));
    let mut said: Vec<String> = text(&output.stderr).lines().map(str::to_owned).collect();
    said.sort();
    assert_eq!(said.len(), 3, "{said:?}");
    for (line, said) in [17, 290].iter().zip(&said) {
        assert!(
            said.starts_with(&format!("djaffar load: {path}:{line}: the database refuses it: ")),
            "{said}"
        );
    }
    assert_eq!(
        text(&output.stdout),
        "298 activities loaded, 0 there already, 0 session infos, 2 bad records left out\n"
    );
}

#[tokio::test]
async fn a_dry_run_reads_and_stores_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lines");
    fs::write(&path, format!("{GOOD}\n{GOOD}\nx\n{{\"session\": \"s\", \"user_agent\": \"\"}}"))
        .expect("a file");
    let output = load("sqlite:/nowhere/at/all", &["--dry-run", path.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "2 activities could be loaded, 1 session info, 1 bad record left out\n");
}

#[tokio::test]
async fn stdin_is_read_compressed_or_not() {
    let file = SqliteFile::empty().await;
    let feed = |bytes: Vec<u8>| {
        let mut child = Command::new(binary("djaffar"))
            .args(["load", "--database", &file.url(), "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("djaffar can be started");
        child.stdin.take().expect("a pipe").write_all(&bytes).expect("djaffar reads");
        text(&child.wait_with_output().expect("the load ends").stdout)
    };
    assert_eq!(feed(GOOD.into()), "1 activity loaded, 0 there already, 0 session infos\n");
    let zstd = zstd::encode_all(GOOD.as_bytes(), 1).expect("memory");
    assert_eq!(feed(zstd), "0 activities loaded, 1 there already, 0 session infos\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(GOOD.as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    assert_eq!(feed(gzip), "0 activities loaded, 1 there already, 0 session infos\n");
    assert_eq!(feed(Vec::new()), "0 activities loaded, 0 there already, 0 session infos\n");
}

#[tokio::test]
async fn what_cannot_be_loaded_at_all_is_said_in_a_sentence() {
    let file = SqliteFile::empty().await;
    let closed = format!("postgres://postgres@127.0.0.1:{}/x", djaffar_tests::free_port());
    for (database, path, sentence) in [
        (file.url(), "/nowhere/at/all.json", "djaffar: /nowhere/at/all.json cannot be read: No such file"),
        (file.url(), "/", "djaffar: / cannot be read: is a directory"),
        (closed, "/dev/null", "djaffar: database: PostgreSQL: "),
    ] {
        let output = load(&database, &[path]);
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.starts_with(sentence), "{printed}");
    }
}
