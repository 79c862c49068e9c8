//! The settings, one struct per concern, shared by the commands that need them.
//!
//! A setting is a flag under a help heading. [`crate::configuration`] gives each
//! its environment variable and its key in the TOML file; the flags without a
//! heading (`--indent`, `--json`) belong to one invocation and have neither.

pub(crate) mod admin;
pub(crate) mod data_directory;
pub(crate) mod database;
pub(crate) mod django;
pub(crate) mod duration;
pub(crate) mod http;
pub(crate) mod instant;
pub(crate) mod json_web_token;
pub(crate) mod limits;
pub(crate) mod look_up;
mod nats;
pub(crate) mod queue;
pub(crate) mod session;
pub(crate) mod site;
pub(crate) mod size;
pub(crate) mod spool;
pub(crate) mod token;
mod twin;

use std::convert::Infallible;

use shared::secret::Secret;

fn cookie_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("a cookie name is 1 to 64 letters, digits, - or _".to_owned())
}

/// The first word of an `Authorization` header.
fn scheme(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !text.is_empty() && text.len() <= 32 && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("a scheme is a word such as Bearer or Token".to_owned())
}

/// Reads a secret without judging it, so that no error message ever repeats it.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}
