//! Certificates of the test's own authority, as PEM files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(86_400);

/// An authority that nobody but the test believes. Its files go with it.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Certified {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// # Panics
    /// No key can be made, or no file written.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("djaffar-test-authority-")
            .tempdir()
            .expect("a temporary directory can be made");
        let mut params = params("djaffar test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("a file can be written");
        Self { issuer, directory }
    }

    /// What believes it.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// For these names and addresses; the first names the files.
    #[must_use]
    pub fn certify(&self, names: &[&str]) -> Certified {
        self.sign(params(names[0], names), names[0])
    }

    /// The same, whose time is over.
    #[must_use]
    pub fn certify_expired(&self, names: &[&str]) -> Certified {
        let mut params = params(names[0], names);
        params.not_before = (SystemTime::now() - 3 * DAY).into();
        params.not_after = (SystemTime::now() - DAY).into();
        self.sign(params, "expired")
    }

    fn sign(&self, params: CertificateParams, file: &str) -> Certified {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let path = |end: &str| self.directory.path().join(format!("{file}{end}"));
        let certified = Certified { certificate: path(".pem"), key: path(".key") };
        fs::write(&certified.certificate, certificate.pem()).expect("a file can be written");
        fs::write(&certified.key, key.serialize_pem()).expect("a file can be written");
        certified
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Without a name of its own a certificate looks as if it had signed itself.
fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names and addresses");
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}
