//! Runs `reference.py` on the Python that `tests/setup` installs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use super::outcome::{self, Outcome};
use super::request::Request;

pub(crate) fn answer(requests: &[Request]) -> Vec<Outcome> {
    let python = djaffar_tests::tools().join("django/bin/python");
    assert!(python.exists(), "{} is missing: run tests/setup", python.display());
    let mut child = Command::new(python)
        .arg(djaffar_tests::workspace().join("tests/differential/reference.py"))
        // The time zones of the pinned package, not of this machine.
        .env("PYTHONTZPATH", "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();

    let versions: Value = parse(lines.next());
    println!("compared with {versions}");
    // Later ones read dates differently.
    assert!(
        versions["python"].as_str().is_some_and(|version| version.starts_with("3.11.")),
        "the reference needs Python 3.11: install it and run tests/setup again"
    );
    let input: Vec<String> = requests.iter().map(|request| request.to_json().to_string()).collect();
    let writer = thread::spawn(move || {
        for line in input {
            writeln!(stdin, "{line}").expect("Python reads all requests");
        }
    });
    let answers = requests.iter().map(|_| outcome::of_reference(&parse(lines.next()))).collect();
    writer.join().expect("all requests are written");
    assert!(child.wait().expect("Python ends").success());
    answers
}

fn parse(line: Option<std::io::Result<String>>) -> Value {
    let line = line.expect("Python answers each request").expect("Python can be read");
    serde_json::from_str(&line).expect("an answer is JSON")
}
