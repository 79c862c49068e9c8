//! The TOML file: flat keys, named as the flags.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::nearest::nearest;
use crate::failure::Failure;

/// The file's values as a command line would give them, by flag.
#[derive(Debug)]
pub(super) struct FileValues {
    pub(super) path: PathBuf,
    values: BTreeMap<String, String>,
}

impl FileValues {
    pub(super) fn get(&self, flag: &str) -> Option<&str> {
        self.values.get(flag).map(String::as_str)
    }
}

pub(super) fn read(path: &Path, settings: &BTreeSet<String>) -> Result<FileValues, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::misconfigured(format!(
            "config: cannot read {shown}: {error}; name a TOML file that this process may read"
        ))
    })?;
    // The error's own text would quote the line, which may hold a secret.
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        let message = error.message().replace('\n', ", ");
        Failure::misconfigured(format!("config: {shown} is not TOML, line {line}: {message}; mend that line"))
    })?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let flag = key.replace('_', "-");
        if !settings.contains(&flag) {
            return Err(unknown(&key, path, settings));
        }
        let value = plain(&value).ok_or_else(|| {
            Failure::misconfigured(format!(
                "`{key}` in {shown} is neither a text, a whole number, true or false, nor a list of texts; write \
                 it as a flag takes it, in quotes"
            ))
        })?;
        if values.insert(flag.clone(), value).is_some() {
            return Err(Failure::misconfigured(format!(
                "`{flag}` stands twice in {shown}, with - and with _; remove one of them"
            )));
        }
    }
    Ok(FileValues { path: path.to_owned(), values })
}

fn unknown(key: &str, path: &Path, settings: &BTreeSet<String>) -> Failure {
    let remedy = match nearest(&key.replace('_', "-"), settings.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove it; `djaffar serve --help` lists the settings".to_owned(),
    };
    Failure::misconfigured(format!("unknown key `{key}` in {}; {remedy}", path.display()))
}

/// A list becomes what a flag takes: its items, divided by commas.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            items.map(|items| items.join(","))
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}
