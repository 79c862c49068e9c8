//! The way to a Postgres server: what of its URL is a mistake, and whether anybody between may listen.
//!
//! sqlx parses the URL, and connects with what it finds only later; what a person must be told at the
//! start is decided here, for the writer's database and for the site's.

use std::error::Error;
use std::net::IpAddr;
use std::path::Path;

use percent_encoding::percent_decode_str;

use crate::pem;
use crate::tls::TlsFault;

/// As libpq names them; `allow`, which sqlx takes for `disable`, is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What a URL says about the connection.
#[derive(Clone, Debug)]
pub struct PostgresRoute {
    /// Name or address of a server; `None`: a Unix socket.
    host: Option<String>,
    mode: SslMode,
    root_certificate: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl PostgresRoute {
    /// `host` and `mode` as the library has understood them; the files are read from the URL itself.
    #[must_use]
    pub fn new(host: Option<&str>, mode: SslMode, url: &str) -> Self {
        let host = host.filter(|host| !host.starts_with('/')).map(ToOwned::to_owned);
        let mut route = Self { host, mode, root_certificate: None, certificate: None, key: None };
        let query = url.split_once('?').map_or("", |(_, query)| query);
        for (name, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8_lossy().into_owned();
            match name {
                "sslrootcert" | "ssl-root-cert" | "ssl-ca" => route.root_certificate = Some(value),
                "sslcert" | "ssl-cert" => route.certificate = Some(value),
                "sslkey" | "ssl-key" => route.key = Some(value),
                _ => {}
            }
        }
        route
    }

    /// Judges the files that the URL names, without connecting.
    ///
    /// # Errors
    /// What is wrong with which parameter, and how to mend it.
    pub fn check(&self) -> Result<(), String> {
        if let Some(path) = &self.root_certificate {
            check_certificates("sslrootcert", path)?;
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                check_certificates("sslcert", certificate)?;
                pem::private_key("sslkey", &read("sslkey", key)?, Path::new(key), "sslcert").map(drop)
            }
            (None, None) => Ok(()),
            (Some(_), None) => Err("sslcert without sslkey: a client certificate needs both".to_owned()),
            (None, Some(_)) => Err("sslkey without sslcert: a client certificate needs both".to_owned()),
        }
    }

    /// One line about a connection that somebody between could read; `None` where nobody is between.
    #[must_use]
    pub fn warning(&self, setting: &str) -> Option<String> {
        let host = self.host.as_ref().filter(|host| !is_loopback(host))?;
        let what = match self.mode {
            SslMode::Disable => "is in plain text",
            SslMode::Prefer => "is encrypted only if the server offers it, and with whoever answers",
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => return None,
        };
        Some(format!(
            "{setting}: the connection to {host} {what}: append ?sslmode=verify-full to the URL, and &sslrootcert=FILE \
             for an authority of your own"
        ))
    }
}

/// Whether a host as a URL writes it is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The library takes a file's name or its content.
fn read(parameter: &str, source: &str) -> Result<Vec<u8>, String> {
    if source.starts_with("-----BEGIN") { Ok(source.into()) } else { pem::read(parameter, Path::new(source)) }
}

fn check_certificates(parameter: &str, source: &str) -> Result<(), String> {
    pem::certificates(parameter, &read(parameter, source)?, Path::new(source)).map(drop)
}

/// A sentence about an error of connecting, where TLS is the cause.
#[must_use]
pub fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let fault = TlsFault::find(error)?;
    let remedy = match fault {
        TlsFault::Untrusted(_) => "name the file of the authority that signed it with sslrootcert in the URL",
        TlsFault::WrongName(_) => {
            "write a name of the certificate as the host in the URL, or sslmode=verify-ca to take any name"
        }
        TlsFault::OutOfDate(_) => "give the server a new one, and see whether this machine's clock is right",
        TlsFault::WantsCertificate => "name one with sslcert and sslkey in the URL",
        TlsFault::NotTls => "see whether another server listens there",
        TlsFault::Refused(_) => {
            "see whether the server believes the certificate of sslcert in the URL, and its log"
        }
    };
    Some(format!("no TLS with the server, {fault}: {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(host: Option<&str>, mode: SslMode) -> Option<String> {
        PostgresRoute::new(host, mode, "postgres://u@h/d").warning("database")
    }

    #[test]
    fn only_what_leaves_the_machine_unprotected_is_warned_about() {
        for mode in [SslMode::Disable, SslMode::Prefer] {
            let said = warning(Some("db.example"), mode).expect("a warning");
            assert!(said.contains("db.example") && said.contains("sslmode=verify-full"), "{said}");
            for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "/run/postgresql"] {
                assert_eq!(warning(Some(host), mode), None, "{host}");
            }
            assert_eq!(warning(None, mode), None);
        }
        for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
            assert_eq!(warning(Some("db.example"), mode), None);
        }
    }

    #[test]
    fn files_are_judged_before_anything_connects() {
        let check = |query: &str| {
            PostgresRoute::new(Some("h"), SslMode::VerifyFull, &format!("postgres://u@h/d?{query}")).check()
        };
        assert_eq!(check("sslmode=verify-full"), Ok(()));
        let missing = check("sslmode=verify-full&sslrootcert=%2Fnowhere/ca.pem").expect_err("missing");
        assert!(missing.contains("sslrootcert: cannot read /nowhere/ca.pem"), "{missing}");
        assert!(check("ssl-cert=a").expect_err("half").contains("sslkey"));
        assert!(check("sslrootcert=/proc/self/status").expect_err("no PEM").contains("no certificate"));
    }
}
