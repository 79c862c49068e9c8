//! JSON Web Tokens: who signs them, and what they must say.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ingest::identity::{GivenKeys, JwtAlgorithm, JwtConfig, JwtKeys, JwtPreset, KeySetPlace};
use shared::secret::Secret;

use super::duration::Span;
use super::twin;
use crate::failure::Failure;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "JSON Web Tokens")]
pub(crate) struct JwtSettings {
    /// Access tokens of djangorestframework-simplejwt: HS256 with --django-secret-key, unless told otherwise
    #[arg(long, value_name = "PRESET")]
    jwt_preset: Option<Preset>,
    /// What tokens may be signed with, divided by commas: HS256, RS256, PS256, ES256, their longer siblings, EdDSA
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    jwt_algorithms: Vec<JwtAlgorithm>,
    /// The secret of an HS algorithm, 32 bytes or more, or the issuer's public keys as PEM
    // A PEM begins with hyphens; refused as a flag, it would be printed.
    #[arg(long, value_name = "KEY", value_parser = super::secret, allow_hyphen_values = true)]
    jwt_key: Option<Secret>,
    /// File that holds the value of --jwt-key
    #[arg(long, value_name = "FILE")]
    jwt_key_file: Option<PathBuf>,
    /// JSON Web Key Set of the issuer, a file or an http(s) URL; read again every ten minutes and for unknown keys
    #[arg(long, value_name = "FILE|URL")]
    jwt_jwks: Option<KeySetPlace>,
    /// Issuers (`iss`) that count, divided by commas [default: whoever has the key]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    jwt_issuer: Vec<String>,
    /// Audiences (`aud`) that tokens must be for, divided by commas [default: tokens that name none]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    jwt_audience: Vec<String>,
    /// How far the issuer's clock may differ from ours
    #[arg(long, value_name = "TIME", default_value = "10s")]
    jwt_leeway: Span,
    /// Claim that holds the user's id, a text or a whole number [default: sub; of simplejwt: user_id]
    #[arg(long, value_name = "NAME")]
    jwt_user_claim: Option<String>,
    /// Scheme of these tokens, in `Authorization: <scheme> <token>`
    #[arg(long, value_name = "SCHEME", default_value = "Bearer", value_parser = super::scheme)]
    jwt_scheme: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    Simplejwt,
}

impl JwtSettings {
    /// `django_key` signs the tokens of a Django package unless another key is given.
    pub(crate) fn config(&self, django_key: Option<&Secret>) -> Result<Option<JwtConfig>, Failure> {
        let preset = self.jwt_preset.map(|Preset::Simplejwt| JwtPreset::SimpleJwt);
        let algorithms = match preset {
            Some(preset) if self.jwt_algorithms.is_empty() => preset.algorithms(),
            _ => self.jwt_algorithms.clone(),
        };
        let Some(keys) = self.keys(preset, django_key)? else { return self.without_keys(preset) };
        let user_claim = self.jwt_user_claim.clone();
        let config = JwtConfig {
            algorithms,
            keys,
            issuers: self.jwt_issuer.clone(),
            audiences: self.jwt_audience.clone(),
            leeway: self.jwt_leeway.0,
            user_claim: user_claim.unwrap_or_else(|| preset.map_or("sub", JwtPreset::user_claim).to_owned()),
            scheme: self.jwt_scheme.clone(),
            preset,
        };
        Ok(Some(config))
    }

    fn keys(
        &self,
        preset: Option<JwtPreset>,
        django_key: Option<&Secret>,
    ) -> Result<Option<JwtKeys>, Failure> {
        let given = twin::resolve("jwt-key", self.jwt_key.as_ref(), self.jwt_key_file.as_deref())?;
        if given.is_some() && self.jwt_jwks.is_some() {
            return Err(Failure::misconfigured(
                "jwt-key and jwt-jwks are both set; tokens have one issuer, remove one of them",
            ));
        }
        if let Some(place) = &self.jwt_jwks {
            return Ok(Some(JwtKeys::Set(place.clone())));
        }
        let key = match (given, preset) {
            (Some(key), _) => ("jwt-key", key),
            (None, Some(JwtPreset::SimpleJwt)) => match django_key {
                Some(key) => ("django-secret-key", key.clone()),
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let keys = GivenKeys::parse(key.0, &key.1);
        keys.map(|keys| Some(JwtKeys::Given(keys))).map_err(|error| Failure::misconfigured(error.to_string()))
    }

    /// Nothing is asked of tokens that nobody can verify.
    fn without_keys(&self, preset: Option<JwtPreset>) -> Result<Option<JwtConfig>, Failure> {
        let rules = [
            ("jwt-algorithms", !self.jwt_algorithms.is_empty()),
            ("jwt-issuer", !self.jwt_issuer.is_empty()),
            ("jwt-audience", !self.jwt_audience.is_empty()),
            ("jwt-user-claim", self.jwt_user_claim.is_some()),
        ];
        if preset.is_some() {
            return Err(Failure::misconfigured(
                "jwt-preset simplejwt needs the key that signs the tokens; set django-secret-key, or jwt-key if the \
                 site's SIGNING_KEY is another one",
            ));
        }
        match rules.into_iter().find(|(_, is_set)| *is_set) {
            Some((setting, _)) => Err(Failure::misconfigured(format!(
                "{setting} is set without the issuer's keys; add jwt-key or jwt-jwks"
            ))),
            None => Ok(None),
        }
    }
}
