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
fn ingest_knows_no_writer_and_the_writer_no_web() {
    assert_without("ingest", &["writer", "djaffar"]);
    assert_without("writer", &["ingest", "warp", "hyper", "djaffar"]);
    assert_without("shared", &["ingest", "writer", "sqlx", "warp", "djaffar"]);
}

/// The site's own database is asked who a visitor is, through one port; ours is the writer's.
#[test]
fn ingest_speaks_sql_in_one_place() {
    let ingest = workspace().join("ingest/src");
    let port = ingest.join("identity/database");
    let mut folders = vec![ingest];
    let mut speakers = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).is_ok_and(|text| text.contains("sqlx::")) {
                speakers.push(path);
            }
        }
    }
    assert!(!speakers.is_empty());
    for path in speakers {
        assert!(path.with_extension("").starts_with(&port), "{} speaks SQL", path.display());
    }
}

/// Every version of a workflow's actions is a commit, and it holds what CI is for. `cargo deny` itself needs its
/// database, which only CI can reach.
#[test]
fn ci_runs_every_test_and_judges_the_dependencies() {
    let workflow = std::fs::read_to_string(workspace().join(".github/workflows/ci.yml")).expect("a workflow");
    for needed in [
        "run: tests/run\n",
        "cargo deny --locked check advisories licenses bans sources\n",
        "permissions:\n  contents: read\n",
        "timeout-minutes: 90\n",
    ] {
        assert!(workflow.contains(needed), "{needed}");
    }
    assert!(!workflow.contains("write") && !workflow.contains("secrets."), "it has no right but to read");
    let actions: Vec<&str> =
        workflow.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, uses)| uses).collect();
    assert!(!actions.is_empty());
    for action in actions {
        let commit =
            action.split_once('@').map_or("", |(_, version)| version.split(' ').next().unwrap_or_default());
        assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{action}");
    }
}

#[test]
fn the_rules_for_dependencies_are_in_force() {
    let rules: toml::Table = std::fs::read_to_string(workspace().join("deny.toml"))
        .expect("the rules")
        .parse()
        .expect("the rules are TOML");
    let list = |section: &str, key: &str| rules[section][key].as_array().expect("a list").clone();
    let licences = list("licenses", "allow");
    assert!(
        licences.iter().all(|licence| !licence.as_str().is_some_and(|name| name.contains("GPL"))),
        "{licences:?}"
    );
    assert_eq!(rules["sources"]["unknown-registry"].as_str(), Some("deny"));
    assert_eq!(rules["sources"]["unknown-git"].as_str(), Some("deny"));
    assert_eq!(list("advisories", "ignore"), Vec::new());
    // The lock file itself, where that can be judged without a network.
    let lock = std::fs::read_to_string(workspace().join("Cargo.lock")).expect("a lock file");
    let lock: toml::Table = lock.parse().expect("a lock file is TOML");
    let packages = lock["package"].as_array().expect("packages");
    let name = |package: &toml::Value| package["name"].as_str().map(ToOwned::to_owned);
    for banned in list("bans", "deny") {
        let banned = banned["crate"].as_str().expect("a name").to_owned();
        assert!(
            !packages.iter().any(|package| name(package).as_ref() == Some(&banned)),
            "{banned} is in Cargo.lock"
        );
    }
    for package in packages {
        let source = package.get("source").and_then(toml::Value::as_str).unwrap_or("registry+");
        assert!(source.starts_with("registry+"), "{source}");
    }
}
