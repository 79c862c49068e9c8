//! What the dependencies of the crates prove.

use std::process::Command;

use djaffar_tests::workspace;

/// Name and features of everything that the crate is built with, tests aside.
fn dependencies(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--package", package])
        .args(["--edges", "normal,build,features", "--prefix", "none"])
        .current_dir(workspace())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn assert_without(package: &str, names: &[&str]) {
    for line in dependencies(package) {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(!names.contains(&name), "{package} depends on {line}");
    }
}

#[test]
fn the_shipped_binary_holds_no_test_double() {
    let ours = ["shared ", "ingest ", "writer ", "djaffar "];
    let double =
        |line: &String| line.contains("\"test-util\"") && ours.iter().any(|name| line.starts_with(name));
    let doubles: Vec<String> = dependencies("djaffar").into_iter().filter(double).collect();
    assert_eq!(doubles, Vec::<String>::new());
}

#[test]
fn ingest_knows_no_database_and_the_writer_no_web() {
    assert_without("ingest", &["writer", "sqlx", "djaffar"]);
    assert_without("writer", &["ingest", "warp", "hyper", "djaffar"]);
    assert_without("shared", &["ingest", "writer", "sqlx", "warp", "djaffar"]);
}
