//! Who this process is to nats-server, and how the connection is encrypted.
//!
//! Files are judged at the start, so that each mistake is a sentence. The certificates and the
//! credentials file are read again for every connection, because such files are renewed.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use nkeys::{KeyPair, KeyPairType};
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::pem;
use crate::queue::QueueError;
use crate::secret::Secret;

/// The default is what the URLs of the servers say, and the certificates of the system.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// PEM; believed instead of the certificates of the system.
    pub ca_file: Option<PathBuf>,
    pub certificate: Option<ClientCertificate>,
    /// TLS before the server's first word, for `handshake_first`.
    pub tls_first: bool,
    pub login: Login,
    /// What the subjects of answers begin with, where the account wants another than `_INBOX`.
    pub inbox_prefix: Option<String>,
}

/// Both PEM.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

#[derive(Clone, Debug, Default)]
pub enum Login {
    /// What the URLs hold, if anything.
    #[default]
    InUrl,
    User {
        name: String,
        password: Secret,
    },
    Token(Secret),
    /// Seed of a user, `SU...`.
    Nkey(Secret),
    /// A JWT and the seed of its nkey.
    CredentialsFile(PathBuf),
}

impl Access {
    /// Judges servers and files without connecting.
    ///
    /// # Errors
    /// [`QueueError::Misconfigured`]: the sentence names the setting.
    pub fn check(&self, servers: &str) -> Result<(), QueueError> {
        self.judge(servers).map_err(|reason| QueueError::Misconfigured { reason })
    }

    fn judge(&self, servers: &str) -> Result<(), String> {
        let in_url = login_in(&parse(servers)?)?;
        if !matches!((&self.login, &in_url), (Login::InUrl, _) | (_, Login::InUrl)) {
            return Err("queue holds a login, and so does another setting: remove one of them".to_owned());
        }
        match &self.login {
            Login::Nkey(seed) => {
                user_key(seed.expose()).map_err(|why| format!("queue-nkey-seed {why}"))?;
            }
            Login::CredentialsFile(path) => {
                read_credentials(path).map_err(|why| format!("queue-credentials-file: {why}"))?;
            }
            Login::InUrl | Login::User { .. } | Login::Token(_) => {}
        }
        self.judge_tls()
    }

    fn judge_tls(&self) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca_file {
            for certificate in certificates("queue-ca-file", path)? {
                roots.add(certificate).map_err(|error| {
                    format!("queue-ca-file: {} holds no usable certificate ({error})", path.display())
                })?;
            }
        }
        let Some(ClientCertificate { certificate_file, key_file }) = &self.certificate else { return Ok(()) };
        let chain = certificates("queue-certificate-file", certificate_file)?;
        let key = pem::read("queue-key-file", key_file)?;
        let key = pem::private_key("queue-key-file", &key, key_file, "queue-certificate-file")?;
        let provider = rustls::crypto::ring::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key);
        config.map(drop).map_err(|error| {
            format!(
                "queue-key-file: {} does not fit {} of queue-certificate-file ({error}); name the two that were made \
                 together",
                key_file.display(),
                certificate_file.display()
            )
        })
    }

    /// Whether a connection in plain text is out of the question.
    pub(super) fn wants_tls(&self, servers: &str) -> bool {
        let in_url = servers.split(',').any(|url| url.trim().starts_with("tls://"));
        in_url || self.tls_first || self.ca_file.is_some() || self.certificate.is_some()
    }

    pub(super) fn options(&self, servers: &str) -> Result<(ConnectOptions, Vec<ServerAddr>), QueueError> {
        let misconfigured = |reason| QueueError::Misconfigured { reason };
        let addresses = parse(servers).map_err(misconfigured)?;
        let login = match &self.login {
            Login::InUrl => login_in(&addresses).map_err(misconfigured)?,
            other => other.clone(),
        };
        let mut options = match login {
            Login::InUrl => ConnectOptions::new(),
            Login::User { name, password } => {
                ConnectOptions::with_user_and_password(name, password.expose().to_owned())
            }
            Login::Token(token) => ConnectOptions::with_token(token.expose().to_owned()),
            Login::Nkey(seed) => ConnectOptions::with_nkey(seed.expose().to_owned()),
            Login::CredentialsFile(path) => {
                ConnectOptions::with_auth_callback(move |nonce| std::future::ready(sign(&path, &nonce)))
            }
        };
        // One server of TLS is reason enough: those that it names have no scheme.
        options = options.require_tls(self.wants_tls(servers));
        if let Some(path) = &self.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        if let Some(ClientCertificate { certificate_file, key_file }) = &self.certificate {
            options = options.add_client_certificate(certificate_file.clone(), key_file.clone());
        }
        if self.tls_first {
            options = options.tls_first();
        }
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        Ok((options, addresses))
    }
}

fn parse(servers: &str) -> Result<Vec<ServerAddr>, String> {
    let addresses = servers.split(',').map(|url| ServerAddr::from_str(url.trim()));
    addresses.collect::<Result<_, _>>().map_err(|_| {
        "queue is no list of NATS servers: write nats://host:4222[,nats://...], or tls:// for TLS".to_owned()
    })
}

/// `user:password@`, or `token@`. The client library leaves them in the URL and logs in as nobody.
fn login_in(servers: &[ServerAddr]) -> Result<Login, String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let of = |server: &ServerAddr| match (server.username(), server.password()) {
        (None, _) => None,
        (Some(user), password) => Some((decode(user), password.map(decode))),
    };
    let mut logins: Vec<_> = servers.iter().filter_map(of).collect();
    logins.dedup();
    match logins.pop() {
        Some(_) if !logins.is_empty() => {
            Err("the servers of queue have different logins: give all of them the same".to_owned())
        }
        Some((name, Some(password))) => Ok(Login::User { name, password: Secret::new(password) }),
        Some((token, None)) => Ok(Login::Token(Secret::new(token))),
        None => Ok(Login::InUrl),
    }
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    pem::certificates(setting, &pem::read(setting, path)?, path)
}

fn user_key(seed: &str) -> Result<KeyPair, String> {
    let key = KeyPair::from_seed(seed.trim()).ok();
    key.filter(|key| key.key_pair_type() == KeyPairType::User).ok_or_else(|| {
        "is no seed of a user's nkey: it begins with SU, as `nk -gen user` prints it".to_owned()
    })
}

/// A credentials file (`nsc generate creds`): a JWT and a seed, each between a line of dashes before and one after.
fn read_credentials(path: &Path) -> Result<(String, KeyPair), String> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!("cannot read {}: {error}; name a file that this process may read", path.display())
    })?;
    let between = |title: &str| {
        let mut lines = text.lines().map(str::trim).skip_while(|line| !line.contains(title)).skip(1);
        lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with("---"))
    };
    let (jwt, seed) = between("BEGIN NATS USER JWT").zip(between("BEGIN USER NKEY SEED")).ok_or_else(|| {
        format!(
            "{} is no credentials file: it holds a NATS USER JWT and a USER NKEY SEED, as `nsc generate creds` writes \
             them",
            path.display()
        )
    })?;
    let key = user_key(seed).map_err(|why| format!("the seed in {} {why}", path.display()))?;
    Ok((jwt.to_owned(), key))
}

fn sign(path: &Path, nonce: &[u8]) -> Result<Auth, AuthError> {
    let (jwt, key) = read_credentials(path).map_err(AuthError::new)?;
    let signature = key.sign(nonce).map_err(AuthError::new)?;
    let mut auth = Auth::new();
    auth.jwt = Some(jwt);
    auth.signature = Some(signature);
    Ok(auth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(servers: &str) -> Result<String, String> {
        login_in(&parse(servers)?).map(|login| match login {
            Login::InUrl => "nobody".to_owned(),
            Login::User { name, password } => format!("{name} {}", password.expose()),
            Login::Token(token) => format!("token {}", token.expose()),
            Login::Nkey(_) | Login::CredentialsFile(_) => "not in a URL".to_owned(),
        })
    }

    #[test]
    fn urls_may_hold_one_login() {
        assert_eq!(login("nats://a:4222,tls://b").as_deref(), Ok("nobody"));
        assert_eq!(login("nats://u:p%40ss%2F@a, nats://b").as_deref(), Ok("u p@ss/"));
        assert_eq!(login("nats://u:p@a,nats://u:p@b").as_deref(), Ok("u p"));
        assert_eq!(login("nats://t0ken@a").as_deref(), Ok("token t0ken"));
        assert!(login("nats://u:p@a,nats://v:p@b").is_err());
        assert!(login("nats://[").is_err());
    }

    #[test]
    fn tls_is_wanted_by_scheme_or_by_its_settings() {
        let plain = Access::default();
        assert!(!plain.wants_tls("nats://a"));
        assert!(plain.wants_tls("nats://a, tls://b"));
        assert!(Access { tls_first: true, ..plain.clone() }.wants_tls("nats://a"));
        assert!(Access { ca_file: Some("ca.pem".into()), ..plain }.wants_tls("nats://a"));
    }

    #[test]
    fn only_the_seed_of_a_user_is_a_login() {
        let seed = |key: KeyPair| key.seed().expect("a seed");
        assert!(user_key(&seed(KeyPair::new_user())).is_ok());
        for wrong in [&seed(KeyPair::new_account()), "SUAB", ""] {
            let why = user_key(wrong).map(drop).expect_err("refused");
            assert!(why.contains("begins with SU") && (wrong.is_empty() || !why.contains(wrong)), "{why}");
        }
    }

    #[test]
    fn two_logins_contradict() {
        let login = Login::Token(Secret::new("t"));
        let access = Access { login, ..Access::default() };
        assert!(access.check("nats://a").is_ok());
        assert!(access.check("nats://u:p@a").is_err());
    }
}
