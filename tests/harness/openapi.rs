//! `ingest/openapi.yaml`: what the public listener says it answers.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::{tools, workspace};

/// The default of `--base-path`, as in the description's `servers`.
const BASE: &str = "/djaffar";
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One answer: method, path under the base, status.
pub type Described = (String, String, u16);

#[derive(Debug)]
pub struct OpenApi(Value);

impl OpenApi {
    /// Read once a process, by the YAML reader that schemathesis brings along.
    ///
    /// # Panics
    /// It is no YAML, or the reader is missing.
    #[must_use]
    pub fn read() -> &'static Self {
        static DESCRIPTION: OnceLock<OpenApi> = OnceLock::new();
        DESCRIPTION.get_or_init(|| {
            let python = tools().join("openapi/bin/python");
            let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
            let output = Command::new(&python)
                .args(["-c", script])
                .arg(workspace().join("ingest/openapi.yaml"))
                .output()
                .unwrap_or_else(|error| panic!("{}: {error}; run tests/setup", python.display()));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Self(serde_json::from_slice(&output.stdout).expect("JSON"))
        })
    }

    /// Every answer that it names.
    ///
    /// # Panics
    /// It has another shape than OpenAPI.
    #[must_use]
    pub fn answers(&self) -> BTreeSet<Described> {
        let mut answers = BTreeSet::new();
        for (path, item) in self.paths() {
            for method in METHODS {
                let Some(responses) = item[method]["responses"].as_object() else { continue };
                let status = |status: &String| status.parse().expect("a status");
                answers.extend(responses.keys().map(|key| (method.to_owned(), path.clone(), status(key))));
            }
        }
        answers
    }

    /// The answer's name, if it stands in the description with its content type and its headers.
    ///
    /// `target` is that of the request line; `header` gives the first value of a header of the answer.
    ///
    /// # Errors
    /// What is not described, in words.
    pub fn describe(
        &self,
        method: &str,
        target: &str,
        status: u16,
        header: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Described>, String> {
        // Beside the routes of the base path there may be a page of the operator's at `/`.
        let Some(path) = under_base(target) else { return Ok(None) };
        // Methods are told apart by their case.
        let method = if METHODS.contains(&method.to_ascii_lowercase().as_str())
            && method == method.to_ascii_uppercase()
        {
            method.to_ascii_lowercase()
        } else {
            "another method".to_owned()
        };
        let Some((path, item)) = self.route(path) else {
            return if matches!(status, 404 | 400 | 431) {
                Ok(None)
            } else {
                Err(format!("{target} is no route, but {status}"))
            };
        };
        if item[&method].is_null() {
            // Said in words, for all routes.
            return if matches!(status, 405 | 400 | 431) {
                Ok(None)
            } else {
                Err(format!("{method} {path} is not described, but {status}"))
            };
        }
        let what = format!("{method} {path} {status}");
        let response = self.resolved(&item[&method]["responses"][status.to_string()]);
        if response.is_null() {
            return Err(format!("{what} is not described"));
        }
        let content_type =
            header("content-type").map(|value| value.split(';').next().unwrap_or_default().to_owned());
        match (&content_type, response["content"].as_object()) {
            (None, _) if method == "head" || header("content-length").is_none_or(|length| length == "0") => {}
            (Some(found), Some(content)) if content.contains_key(found) => {}
            // hyper's own answers have no body.
            (found, _) => return Err(format!("{what} comes as {found:?}")),
        }
        for (name, declared) in response["headers"].as_object().unwrap_or(&Map::new()) {
            if self.resolved(declared)["required"] == true && header(&name.to_ascii_lowercase()).is_none() {
                return Err(format!("{what} lacks {name}"));
            }
        }
        Ok(Some((method, path.clone(), status)))
    }

    fn paths(&self) -> &Map<String, Value> {
        self.0["paths"].as_object().expect("paths")
    }

    fn route(&self, path: &str) -> Option<(&String, &Value)> {
        let same = |one: &str, other: &str| {
            one.strip_suffix('/').unwrap_or(one) == other.strip_suffix('/').unwrap_or(other)
        };
        self.paths().iter().find(|(described, _)| same(described, path))
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                self.0.pointer(reference.trim_start_matches('#')).expect("what is referred to")
            }
            None => value,
        }
    }
}

/// The path of a request's target behind the base path; a whole URL names it behind its host.
fn under_base(target: &str) -> Option<&str> {
    let path = target.split('?').next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    path.strip_prefix(BASE)
}
