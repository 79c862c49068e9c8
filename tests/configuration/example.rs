//! `deploy/djaffar.example.toml` is what the program takes, and all of it.

use std::collections::BTreeSet;

use djaffar_tests::workspace;

use crate::Run;

fn example() -> String {
    std::fs::read_to_string(workspace().join("deploy/djaffar.example.toml")).expect("the example is there")
}

/// `# key = value` without its `#`.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("# ").unwrap_or(line);
    let (key, _) = line.split_once(" = ")?;
    let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    is_key.then_some((key, line))
}

#[tokio::test]
async fn it_is_valid_as_it_is_and_with_every_line_in_force() {
    let example = example();
    Run::new(&["check", "--config-only"]).config(&example).succeeds().await;
    // A twin contradicts its setting, and the other site needs another cookie.
    let left_out = |key: &str| key.ends_with("-file") || key == "session-cookie-domain";
    let lines = example.lines().filter_map(setting).filter(|(key, _)| !left_out(key)).map(|(_, line)| line);
    let all = lines.collect::<Vec<_>>().join("\n");
    assert!(all.lines().count() > 30, "{all}");
    Run::new(&["check", "--config-only"]).config(&all).succeeds().await;
}

#[tokio::test]
async fn it_names_every_setting_and_no_other() {
    let mut settings = BTreeSet::new();
    for command in ["serve", "ingest", "writer", "migrate", "dump", "status"] {
        let help = Run::new(&[command, "--help"]).succeeds().await;
        let words = help.split_whitespace().map(|word| word.trim_end_matches(']'));
        let variables = words.filter_map(|word| word.strip_prefix("DJAFFAR_"));
        settings.extend(variables.map(|name| name.to_ascii_lowercase().replace('_', "-")));
    }
    settings.remove("config");
    let example = example();
    let named = example.lines().filter_map(setting).map(|(key, _)| key.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(named, settings);
}
