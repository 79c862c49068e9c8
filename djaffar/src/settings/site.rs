//! A site that is asked who a visitor is.

use std::path::PathBuf;

use clap::Args;
use ingest::identity::{CsrfRule, ShownCookies, SiteConfig, SiteUrl};
use shared::secret::Secret;

use super::{cookie_name, twin};
use crate::failure::Failure;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Ask the site")]
pub(crate) struct SiteSettings {
    /// View of the site that says who a visitor is, such as http://127.0.0.1:8000/djaffar/identity/ of the Django app
    #[arg(long, value_name = "URL")]
    auth_url: Option<SiteUrl>,
    /// Shared secret that the site is shown, so that it answers nobody else
    #[arg(long, value_name = "KEY", value_parser = super::secret)]
    auth_url_key: Option<Secret>,
    /// File that holds the value of --auth-url-key
    #[arg(long, value_name = "FILE")]
    auth_url_key_file: Option<PathBuf>,
    /// Cookies that the site is shown, such as sessionid,csrftoken; others only cost time [default: all but our own]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = cookie_name)]
    auth_cookies: Vec<String>,
    /// Questions that are asked at once; others wait
    #[arg(long, value_name = "COUNT", default_value = "32")]
    auth_connections_max: u16,
}

impl SiteSettings {
    pub(crate) fn config(&self, csrf: CsrfRule) -> Result<Option<SiteConfig>, Failure> {
        let (direct, file) = (self.auth_url_key.as_ref(), self.auth_url_key_file.as_deref());
        let key = twin::resolve("auth-url-key", direct, file)?;
        let Some(url) = &self.auth_url else {
            let useless = if key.is_some() {
                "auth-url-key"
            } else if self.auth_cookies.is_empty() {
                return Ok(None);
            } else {
                "auth-cookies"
            };
            return Err(Failure::misconfigured(format!(
                "{useless} is set without auth-url; name the view that the site answers with, or remove it"
            )));
        };
        let cookies = match self.auth_cookies.as_slice() {
            [] => ShownCookies::All,
            names => ShownCookies::Named(names.to_vec()),
        };
        let connections_max = usize::from(self.auth_connections_max);
        Ok(Some(SiteConfig { url: url.clone(), key, cookies, connections_max, csrf }))
    }
}
