//! Environment variables that look like settings must be settings.

use std::collections::BTreeSet;

use super::nearest::nearest;
use super::variable;
use crate::failure::Failure;

pub(super) const PREFIX: &str = "DJAFFAR_";

pub(super) fn refuse_unknown(environment: &[String], settings: &BTreeSet<String>) -> Result<(), Failure> {
    let mut known: BTreeSet<String> = settings.iter().map(|name| variable(name)).collect();
    known.insert(variable("config"));
    let ours = environment.iter().filter(|name| name.starts_with(PREFIX));
    let Some(unknown) = ours.filter(|name| !known.contains(*name)).find(|name| !is_injected(name)) else {
        return Ok(());
    };
    let remedy = match nearest(unknown, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => "remove it; `djaffar serve --help` lists the settings".to_owned(),
    };
    Err(Failure::misconfigured(format!("environment variable {unknown} is no setting; {remedy}")))
}

/// Kubernetes describes a service named `djaffar` to every container beside it.
fn is_injected(name: &str) -> bool {
    let numbered_port = || {
        let (_, rest) = name.split_once("_PORT_")?;
        rest.bytes().next().filter(u8::is_ascii_digit)
    };
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || numbered_port().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_refused() {
        let settings = BTreeSet::from(["listen".to_owned(), "secret-key".to_owned()]);
        let check = |name: &str| refuse_unknown(&[name.to_owned()], &settings);
        assert!(check("DJAFFAR_LISTEN").is_ok());
        assert!(check("DJAFFAR_CONFIG").is_ok());
        assert!(check("PATH").is_ok());
        let error = check("DJAFFAR_SECRETKEY").unwrap_err().to_string();
        assert!(error.contains("DJAFFAR_SECRETKEY") && error.contains("DJAFFAR_SECRET_KEY?"), "{error}");
    }

    #[test]
    fn kubernetes_variables_pass() {
        for name in [
            "DJAFFAR_SERVICE_HOST",
            "DJAFFAR_INGEST_SERVICE_PORT_HTTP",
            "DJAFFAR_PORT",
            "DJAFFAR_WRITER_PORT_8082_TCP_ADDR",
        ] {
            assert!(refuse_unknown(&[name.to_owned()], &BTreeSet::new()).is_ok(), "{name}");
        }
    }
}
