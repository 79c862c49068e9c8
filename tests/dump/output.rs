//! `--output`: a file that is there whole or not at all; and what a pipe gets to see.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use djaffar_tests::binary;
use djaffar_tests::process::{djaffar, djaffar_prints};
use djaffar_tests::wait_until;
use rustix::process::{Pid, Signal, kill_process};

use crate::database::{PostgresDatabase, SqliteFile, dump};
use crate::rows;

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be read");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_holds_what_stdout_shows_and_replaces_what_was_there() {
    let file = SqliteFile::filled(&rows::activities()).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, link) = (directory.path().join("dump.json"), directory.path().join("link.json"));
    fs::write(&path, "old").expect("a file");
    symlink(&path, &link).expect("a link");
    for target in [&path, &link] {
        let target = target.to_str().expect("UTF-8");
        let printed = djaffar_prints(["dump", "activity", "--database", &file.url(), "--output", target]);
        assert_eq!(printed, "");
        assert_eq!(fs::read_to_string(&path).expect("the dump"), dump(&file.url(), ["activity"]));
    }
    assert!(link.is_symlink());
    assert_eq!(fs::metadata(&path).expect("the dump").permissions().mode() & 0o777, 0o600);
    assert_eq!(names(directory.path()), ["dump.json", "link.json"]);
}

#[tokio::test]
async fn what_fails_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("dump.json");
    fs::write(&path, "old").expect("a file");
    let file = SqliteFile::filled(&rows::activities()).await;
    let run = |database: &str, more: &[&str]| {
        let output = path.to_str().expect("UTF-8");
        let arguments = ["dump", "activity", "--database", database, "--output", output];
        djaffar(arguments.iter().chain(more))
    };
    let output = run("sqlite:/nowhere/at/all.sqlite3", &[]);
    assert_eq!(output.status.code(), Some(2));
    let output = run(&file.url(), &["--user-type", "int"]);
    assert_eq!(output.status.code(), Some(1));
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(sentence.contains("is no whole number; use another --user-type"), "{sentence}");
    assert_eq!(fs::read_to_string(&path).expect("the file"), "old");
    assert_eq!(names(directory.path()), ["dump.json"]);

    for (target, sentence) in [
        ("/dev/null", "djaffar: output: /dev/null is no file; name one, or leave --output out"),
        ("/nowhere/dump.json", "djaffar: output: cannot write into /nowhere: "),
    ] {
        let output = djaffar(["dump", "activity", "--database", &file.url(), "--output", target]);
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.starts_with(sentence), "{printed}");
    }
}

/// A lock keeps the dump from its rows for as long as the test likes.
#[tokio::test]
async fn an_interrupted_dump_leaves_nothing_behind() {
    use sqlx::Connection as _;
    let database = PostgresDatabase::filled(&rows::activities()).await;
    let mut other = sqlx::PgConnection::connect(&database.url).await.expect("the server answers");
    sqlx::raw_sql("BEGIN; LOCK TABLE activity").execute(&mut other).await.expect("the lock");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("dump.json");
    let mut child = Command::new(binary("djaffar"))
        .args(["dump", "activity", "--database", &database.url, "--output"])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .expect("djaffar can be started");
    wait_until("an unfinished file", Duration::from_secs(30), || {
        let begun = names(directory.path()).len() == 1;
        async move { begun }
    })
    .await;
    // The file is made before the database is asked; the question shows that it listens.
    wait_until("the dump to wait for the lock", Duration::from_secs(30), || {
        let waiting = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'djaffar dump' \
             AND wait_event_type = 'Lock')",
        );
        let url = database.url.clone();
        async move {
            let mut third = sqlx::PgConnection::connect(&url).await.expect("the server answers");
            waiting.fetch_one(&mut third).await.expect("an answer")
        }
    })
    .await;
    let id = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    kill_process(id, Signal::INT).expect("it runs");
    let status = child.wait().expect("the dump ends");
    assert_eq!(status.code(), Some(1));
    let mut sentence = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("a pipe"), &mut sentence).expect("UTF-8");
    assert_eq!(sentence, format!("djaffar: interrupted; {} is as it was\n", path.display()));
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_pipe_sees_rows_alone() {
    let file = SqliteFile::filled(&rows::activities()).await;
    for format in ["django", "ndjson", "csv"] {
        let output = djaffar(["dump", "activity", "--database", &file.url(), "--format", format]);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{format}");
    }
}
