//! The settings, one struct per concern, shared by the commands that need them.
//!
//! A setting is a flag under a help heading. [`crate::configuration`] gives each
//! its environment variable and its key in the TOML file; the flags without a
//! heading (`--indent`, `--json`) belong to one invocation and have neither.

pub(crate) mod admin;
pub(crate) mod data_directory;
pub(crate) mod database;
pub(crate) mod duration;
pub(crate) mod http;
pub(crate) mod limits;
pub(crate) mod queue;
pub(crate) mod session;
pub(crate) mod size;
mod twin;

use std::convert::Infallible;

use shared::secret::Secret;

/// Reads a secret without judging it, so that no error message ever repeats it.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}
