//! A secret setting and its `-file` twin.

use std::path::Path;

use shared::secret::Secret;

use crate::failure::Failure;

/// The secret, from the setting itself or from the file that the twin names.
pub(crate) fn resolve(
    name: &str,
    direct: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<Secret>, Failure> {
    match (direct, file) {
        (Some(_), Some(_)) => Err(Failure::misconfigured(format!(
            "{name} and {name}-file are both set; they mean the same, remove one of them"
        ))),
        (Some(secret), None) => not_empty(name, secret.expose()).map(Some),
        (None, Some(path)) => read(name, path).map(Some),
        (None, None) => Ok(None),
    }
}

/// Several secrets: divided by commas in the setting itself, one a line in the file.
pub(crate) fn list(name: &str, direct: Option<&Secret>, file: Option<&Path>) -> Result<Vec<Secret>, Failure> {
    let Some(secrets) = resolve(name, direct, file)? else { return Ok(Vec::new()) };
    let divider = if file.is_some() { '\n' } else { ',' };
    let secrets = secrets.expose().split(divider).map(|secret| secret.trim_end_matches('\r'));
    Ok(secrets.filter(|secret| !secret.is_empty()).map(Secret::new).collect())
}

fn read(name: &str, path: &Path) -> Result<Secret, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::misconfigured(format!(
            "{name}-file: cannot read {}: {error}; name a text file that this process may read",
            path.display()
        ))
    })?;
    not_empty(&format!("{name}-file"), text.trim_end_matches(['\r', '\n']))
}

fn not_empty(name: &str, text: &str) -> Result<Secret, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::misconfigured(format!("{name} is empty; give it a value or remove it")));
    }
    Ok(Secret::new(text))
}
