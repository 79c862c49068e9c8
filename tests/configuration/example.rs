//! `deploy/djaffar.toml` is what the program takes, all of it, and with its defaults.

use std::collections::{BTreeMap, BTreeSet};

use djaffar_tests::workspace;

use crate::Run;

/// Two processes on one machine cannot share it: a writer has another default than the others.
const WITHOUT_ONE_DEFAULT: [&str; 1] = ["admin-listen"];

fn example() -> String {
    std::fs::read_to_string(workspace().join("deploy/djaffar.toml")).expect("the file is there")
}

/// A line with a setting, and whether it is in force.
struct Line<'a> {
    key: &'a str,
    /// Without its `#`.
    text: &'a str,
    is_in_force: bool,
}

fn setting(line: &str) -> Option<Line<'_>> {
    let text = line.strip_prefix("# ").unwrap_or(line);
    let (key, _) = text.split_once(" = ")?;
    let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    is_key.then_some(Line { key, text, is_in_force: text == line })
}

/// What every command says of its settings, in one line.
async fn help() -> String {
    let mut help = String::new();
    for command in ["serve", "ingest", "writer", "migrate", "dump", "load", "status"] {
        let said = Run::new(&[command, "--help"]).succeeds().await;
        help.extend(said.split_whitespace().flat_map(|word| [word, " "]));
    }
    help
}

fn key(variable: &str) -> String {
    variable.to_ascii_lowercase().replace('_', "-")
}

/// The value as a flag takes it: a list's items are divided by commas.
fn value(text: &str) -> String {
    let table: toml::Table = text.parse().expect("a line is TOML");
    match table.values().next().expect("a line has a value") {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => {
            items.iter().map(|item| item.as_str().expect("a text")).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[tokio::test]
async fn it_is_valid_as_it_is_and_with_every_line_in_force() {
    let example = example();
    for role in ["serve", "ingest", "writer"] {
        let needed = [("DJAFFAR_QUEUE", "nats://a"), ("DJAFFAR_DATABASE", "postgres://a/b")];
        let mut run = Run::new(&["check", "--config-only", "--role", role]).config(&example);
        if role != "serve" {
            run = run.variable("DJAFFAR_SECRET_KEY", &"k".repeat(32));
            run = needed.iter().fold(run, |run, (name, value)| run.variable(name, value));
        }
        run.succeeds().await;
    }
    // A twin contradicts its setting, and so do a key and a set of keys; the other site needs another cookie; a
    // login at NATS needs NATS, and there is one.
    let left_out = |key: &str| {
        let is_login = key.starts_with("queue-") && key != "queue-tls-first";
        key.ends_with("-file") || is_login || ["session-cookie-domain", "jwt-jwks"].contains(&key)
    };
    let lines = example.lines().filter_map(setting).filter(|line| !left_out(line.key)).map(|line| line.text);
    let all = lines.collect::<Vec<_>>().join("\n");
    assert!(all.lines().count() > 30, "{all}");
    Run::new(&["check", "--config-only"]).config(&all).succeeds().await;
}

#[tokio::test]
async fn its_logins_at_nats_are_valid_one_at_a_time() {
    let example = example();
    let line = |key: &str| {
        let mut lines = example.lines().filter_map(setting);
        lines.find(|line| line.key == key).unwrap_or_else(|| panic!("{key} is missing")).text
    };
    let user = [line("queue-user"), line("queue-password"), line("queue-inbox-prefix")].join("\n");
    for lines in [user.as_str(), line("queue-token")] {
        let run = Run::new(&["check", "--config-only"]).config(lines).variable("DJAFFAR_QUEUE", "tls://a");
        run.succeeds().await;
    }
    let both = format!("{user}\n{}", line("queue-token"));
    let refused = Run::new(&["serve"]).config(&both).variable("DJAFFAR_QUEUE", "tls://a").refusal().await;
    assert!(refused.contains("queue-user and queue-token"), "{refused}");
}

#[tokio::test]
async fn it_names_every_setting_and_no_other() {
    let help = help().await;
    let words = help.split(' ').map(|word| word.trim_end_matches(']'));
    let variables = words.filter_map(|word| word.strip_prefix("DJAFFAR_"));
    let mut settings: BTreeSet<_> = variables.map(key).collect();
    settings.remove("config");
    let example = example();
    let named: BTreeSet<_> = example.lines().filter_map(setting).map(|line| line.key.to_owned()).collect();
    assert_eq!(named, settings);
}

#[tokio::test]
async fn it_has_the_defaults_of_the_flags_in_force_and_nothing_else() {
    let help = help().await;
    let mut defaults = BTreeMap::new();
    for said in help.split("[env: DJAFFAR_").skip(1) {
        let (variable, rest) = said.split_once(']').expect("a bracket closes");
        if let Some((default, _)) = rest.strip_prefix(" [default: ").and_then(|rest| rest.split_once(']')) {
            defaults.insert(key(variable), default.to_owned());
        }
    }
    assert!(defaults.len() > 30, "{defaults:?}");
    defaults.retain(|key, _| !WITHOUT_ONE_DEFAULT.contains(&key.as_str()));
    let example = example();
    let in_force = example.lines().filter_map(setting).filter(|line| line.is_in_force);
    let in_force: BTreeMap<_, _> = in_force.map(|line| (line.key.to_owned(), value(line.text))).collect();
    assert_eq!(in_force, defaults);
}
