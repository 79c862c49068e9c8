//! Who a process is to nats-server, and how the connection is encrypted.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::BoolishValueParser;
use shared::queue::jetstream::{Access, ClientCertificate, Login};
use shared::secret::Secret;

use super::twin;
use crate::failure::Failure;

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Queue: access to NATS")]
pub(crate) struct NatsSettings {
    /// Authorities that vouch for the servers, PEM, in place of the system's; turns TLS on, as tls:// in --queue does
    #[arg(long, value_name = "FILE")]
    queue_ca_file: Option<PathBuf>,
    /// Certificate that this process shows the servers, PEM
    #[arg(long, value_name = "FILE")]
    queue_certificate_file: Option<PathBuf>,
    /// Private key of --queue-certificate-file, PEM
    #[arg(long, value_name = "FILE")]
    queue_key_file: Option<PathBuf>,
    /// Speak TLS before the server's first word, for servers with handshake_first
    #[arg(
        long, value_name = "true|false", default_value = "false", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set,
        value_parser = BoolishValueParser::new()
    )]
    queue_tls_first: bool,
    /// User at the servers, if it is not in --queue
    #[arg(long, value_name = "NAME")]
    queue_user: Option<String>,
    /// Password of --queue-user
    #[arg(long, value_name = "PASSWORD", value_parser = super::secret)]
    queue_password: Option<Secret>,
    /// File that holds the value of --queue-password
    #[arg(long, value_name = "FILE")]
    queue_password_file: Option<PathBuf>,
    /// Token for the servers, in place of a user
    #[arg(long, value_name = "TOKEN", value_parser = super::secret)]
    queue_token: Option<Secret>,
    /// File that holds the value of --queue-token
    #[arg(long, value_name = "FILE")]
    queue_token_file: Option<PathBuf>,
    /// Seed of the nkey that this process is known by (SU...), in place of a user
    #[arg(long, value_name = "SEED", value_parser = super::secret)]
    queue_nkey_seed: Option<Secret>,
    /// File that holds the value of --queue-nkey-seed
    #[arg(long, value_name = "FILE")]
    queue_nkey_seed_file: Option<PathBuf>,
    /// Credentials file (JWT and seed, as nsc writes it), in place of a user; read again for each connection
    #[arg(long, value_name = "FILE")]
    queue_credentials_file: Option<PathBuf>,
    /// What the subjects of answers begin with, for a user that may not listen to _INBOX.> [default: _INBOX]
    #[arg(long, value_name = "SUBJECT", value_parser = inbox_prefix)]
    queue_inbox_prefix: Option<String>,
}

impl NatsSettings {
    pub(super) fn access(&self) -> Result<Access, Failure> {
        Ok(Access {
            ca_file: self.queue_ca_file.clone(),
            certificate: self.certificate()?,
            tls_first: self.queue_tls_first,
            login: self.login()?,
            inbox_prefix: self.queue_inbox_prefix.clone(),
        })
    }

    /// The first of these settings that means something, for the embedded queue, which knows none of them.
    pub(super) fn useless(&self) -> Option<&'static str> {
        let file = |file: &Option<PathBuf>| file.is_some();
        [
            ("queue-ca-file", file(&self.queue_ca_file)),
            ("queue-certificate-file", file(&self.queue_certificate_file)),
            ("queue-key-file", file(&self.queue_key_file)),
            ("queue-tls-first", self.queue_tls_first),
            ("queue-user", self.queue_user.is_some()),
            ("queue-password", self.queue_password.is_some()),
            ("queue-password-file", file(&self.queue_password_file)),
            ("queue-token", self.queue_token.is_some()),
            ("queue-token-file", file(&self.queue_token_file)),
            ("queue-nkey-seed", self.queue_nkey_seed.is_some()),
            ("queue-nkey-seed-file", file(&self.queue_nkey_seed_file)),
            ("queue-credentials-file", file(&self.queue_credentials_file)),
            ("queue-inbox-prefix", self.queue_inbox_prefix.is_some()),
        ]
        .into_iter()
        .find_map(|(name, is_set)| is_set.then_some(name))
    }

    fn certificate(&self) -> Result<Option<ClientCertificate>, Failure> {
        let lacks = |there: &str, missing: &str| {
            Err(Failure::misconfigured(format!(
                "{there} is set without {missing}; a client certificate needs both, name the other or remove it"
            )))
        };
        match (&self.queue_certificate_file, &self.queue_key_file) {
            (Some(certificate_file), Some(key_file)) => Ok(Some(ClientCertificate {
                certificate_file: certificate_file.clone(),
                key_file: key_file.clone(),
            })),
            (Some(_), None) => lacks("queue-certificate-file", "queue-key-file"),
            (None, Some(_)) => lacks("queue-key-file", "queue-certificate-file"),
            (None, None) => Ok(None),
        }
    }

    fn login(&self) -> Result<Login, Failure> {
        let secret = |name, direct: &Option<Secret>, file: &Option<PathBuf>| {
            twin::resolve(name, direct.as_ref(), file.as_deref().map(Path::new))
        };
        let password = secret("queue-password", &self.queue_password, &self.queue_password_file)?;
        let user = match (self.queue_user.clone(), password) {
            (Some(name), Some(password)) => Some(("queue-user", Login::User { name, password })),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Failure::misconfigured(
                    "queue-user is set without queue-password; give it as queue-password-file or queue-password",
                ));
            }
            (None, Some(_)) => {
                return Err(Failure::misconfigured(
                    "queue-password is set without queue-user; name the user, or remove it",
                ));
            }
        };
        let token = secret("queue-token", &self.queue_token, &self.queue_token_file)?;
        let nkey = secret("queue-nkey-seed", &self.queue_nkey_seed, &self.queue_nkey_seed_file)?;
        let ways = [
            user,
            token.map(|token| ("queue-token", Login::Token(token))),
            nkey.map(|seed| ("queue-nkey-seed", Login::Nkey(Secret::new(seed.expose().trim())))),
            self.queue_credentials_file
                .clone()
                .map(|path| ("queue-credentials-file", Login::CredentialsFile(path))),
        ];
        let mut ways = ways.into_iter().flatten();
        match (ways.next(), ways.next()) {
            (None, _) => Ok(Login::InUrl),
            (Some((_, login)), None) => Ok(login),
            (Some((one, _)), Some((other, _))) => Err(Failure::misconfigured(format!(
                "{one} and {other} are both set; a process has one login, remove one of them"
            ))),
        }
    }
}

fn inbox_prefix(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let has_empty_part = text.split('.').any(str::is_empty);
    if text.len() <= 64 && text.bytes().all(allowed) && !has_empty_part {
        return Ok(text.to_owned());
    }
    Err("an inbox prefix is a subject of letters, digits, - and _, divided by dots, such as _INBOX_djaffar"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_one_login_and_all_of_it() {
        let secret = |text: &str| Some(Secret::new(text));
        let user = NatsSettings { queue_user: Some("u".to_owned()), ..NatsSettings::default() };
        assert!(user.access().is_err());
        let user = NatsSettings { queue_password: secret("p"), ..user };
        assert!(matches!(user.access().unwrap().login, Login::User { .. }));
        let two = NatsSettings { queue_token: secret("t"), ..user };
        assert!(two.access().unwrap_err().to_string().contains("queue-user and queue-token"));
        let half = NatsSettings { queue_key_file: Some("k".into()), ..NatsSettings::default() };
        assert!(half.access().unwrap_err().to_string().contains("queue-certificate-file"));
        assert_eq!((half.useless(), NatsSettings::default().useless()), (Some("queue-key-file"), None));
    }

    #[test]
    fn inbox_prefixes() {
        assert!(inbox_prefix("_INBOX_djaffar.ingest").is_ok());
        for wrong in ["", "a.", "a.*", "a.>", "a b"] {
            assert!(inbox_prefix(wrong).is_err(), "{wrong}");
        }
    }
}
