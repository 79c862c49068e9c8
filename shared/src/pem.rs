//! Certificates and keys in PEM that settings name, each mistake a sentence.

use std::fs;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A file that a setting names.
///
/// # Errors
/// It cannot be read; the sentence names the setting.
pub(crate) fn read(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| {
        format!("{setting}: cannot read {}: {error}; name a file that this process may read", path.display())
    })
}

/// The certificates of what was read for a setting; `source` says from where.
///
/// # Errors
/// There is none, or one is broken.
pub(crate) fn certificates(
    setting: &str,
    pem: &[u8],
    source: &Path,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| {
        format!("{setting}: {} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", source.display())
    })
}

/// The key of the certificate that another setting names.
///
/// # Errors
/// There is none.
pub(crate) fn private_key(
    setting: &str,
    pem: &[u8],
    source: &Path,
    certificate_setting: &str,
) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        format!(
            "{setting}: {} holds no private key in PEM; name the key of {certificate_setting}",
            source.display()
        )
    })
}
