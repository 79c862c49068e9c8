//! How whoever knows the users is asked, and for how long the answers count.

use clap::Args;
use http::HeaderName;
use ingest::identity::LookUpConfig;

use super::duration::Span;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Users")]
pub(crate) struct LookUpSettings {
    /// Header in which a trusted proxy names the user; the proxy must overwrite what clients send under that name
    #[arg(long, value_name = "HEADER", value_parser = header)]
    pub(crate) forwarded_user_header: Option<HeaderName>,
    /// Longest wait for a database or a site that knows the users; beyond it 503
    #[arg(long, value_name = "TIME", default_value = "2s")]
    identity_timeout: Span,
    /// How long an answer counts: a log-out is noticed after this time at the latest
    #[arg(long, value_name = "TIME", default_value = "30s")]
    identity_cache_time: Span,
    /// Answers remembered by each authenticator
    #[arg(long, value_name = "COUNT", default_value = "100000")]
    identity_cache_max: u64,
}

impl LookUpSettings {
    pub(crate) fn config(&self) -> LookUpConfig {
        LookUpConfig {
            timeout: self.identity_timeout.0,
            cache_time: self.identity_cache_time.0,
            cache_entries_max: self.identity_cache_max,
        }
    }
}

fn header(text: &str) -> Result<HeaderName, String> {
    text.parse().map_err(|_| "a header is a name such as X-Forwarded-User".to_owned())
}
