//! Opaque tokens that the site keeps in a database.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ingest::identity::TokenSource;
use shared::secret::Secret;

use super::twin;
use crate::failure::Failure;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tokens")]
pub(crate) struct TokenSettings {
    /// Tokens in --django-database: of Django REST framework, of django-oauth-toolkit; divided by commas
    #[arg(long, value_name = "PRESET,...", value_delimiter = ',')]
    token_preset: Vec<Preset>,
    /// Query that finds a token's user: `SELECT user_id FROM ... WHERE token = $1`
    #[arg(long, value_name = "SQL")]
    token_query: Option<String>,
    /// Scheme of the tokens that --token-query finds, in `Authorization: <scheme> <token>`
    #[arg(long, value_name = "SCHEME", default_value = "Bearer", value_parser = super::scheme)]
    token_scheme: String,
    /// Database of --token-query [default: --django-database]
    #[arg(long, value_name = "URL", value_parser = super::secret)]
    token_database: Option<Secret>,
    /// File that holds the value of --token-database
    #[arg(long, value_name = "FILE")]
    token_database_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    Drf,
    OauthToolkit,
}

impl TokenSettings {
    pub(crate) fn presets(&self) -> Vec<TokenSource> {
        let source = |preset: &Preset| match preset {
            Preset::Drf => TokenSource::DjangoRestFramework,
            Preset::OauthToolkit => TokenSource::OauthToolkit,
        };
        self.token_preset.iter().map(source).collect()
    }

    pub(crate) fn query(&self) -> Option<TokenSource> {
        let sql = self.token_query.as_ref()?.trim().trim_end_matches(';').to_owned();
        Some(TokenSource::Query { sql, scheme: self.token_scheme.clone() })
    }

    pub(crate) fn database(&self) -> Result<Option<Secret>, Failure> {
        let (direct, file) = (self.token_database.as_ref(), self.token_database_file.as_deref());
        twin::resolve("token-database", direct, file)
    }
}
