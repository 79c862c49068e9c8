//! What is wrong with a TLS connection, found in the error of whatever library spoke it.
//!
//! Libraries bury the cause under their own errors, and the cause decides what
//! to do: a certificate that is not believed is mended by a setting, a lost
//! connection is waited for.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// Why there is no TLS; `Display` says what, the caller adds whose and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// No certificate authority that is believed vouches for the server's certificate.
    Untrusted(String),
    WrongName(String),
    /// Expired, or not valid yet.
    OutOfDate(String),
    /// The other side answers in plain text.
    NotTls,
    /// The server wants a certificate of the client, and has got none.
    WantsCertificate,
    /// The server does not believe the client's certificate, or nothing in common is found.
    Refused(String),
}

impl TlsFault {
    /// The fault among the causes of `error`, if it is one of TLS.
    #[must_use]
    pub fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::of(tls));
            }
            // An io::Error skips what it holds when it is asked for its source.
            let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            cause = match held {
                Some(held) => Some(held as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        None
    }

    fn of(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(reason) => match reason {
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName(reason.to_string())
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::OutOfDate(reason.to_string()),
                _ => Self::Untrusted(reason.to_string()),
            },
            rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => Self::WantsCertificate,
            error => Self::Refused(error.to_string()),
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(why) => write!(formatter, "its certificate is not trusted ({why})"),
            Self::WrongName(why) => write!(formatter, "its certificate is for another name ({why})"),
            Self::OutOfDate(why) => write!(formatter, "its certificate is out of date ({why})"),
            Self::NotTls => formatter.write_str("it does not answer in TLS"),
            Self::WantsCertificate => formatter.write_str("it wants a client certificate"),
            Self::Refused(why) => write!(formatter, "the TLS handshake fails ({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    fn buried(error: rustls::Error) -> Option<TlsFault> {
        TlsFault::find(&Outer(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    #[test]
    fn a_fault_is_found_under_other_errors() {
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        assert!(matches!(buried(expired), Some(TlsFault::OutOfDate(_))));
        let name = rustls::Error::InvalidCertificate(CertificateError::NotValidForName);
        assert!(matches!(buried(name), Some(TlsFault::WrongName(_))));
        let issuer = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(matches!(buried(issuer), Some(TlsFault::Untrusted(_))));
        let plain = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(buried(plain), Some(TlsFault::NotTls));
        let wanted = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(buried(wanted), Some(TlsFault::WantsCertificate));
    }

    #[test]
    fn a_lost_connection_is_no_fault_of_tls() {
        assert_eq!(TlsFault::find(&Outer(io::ErrorKind::ConnectionReset.into())), None);
        assert_eq!(TlsFault::find(&io::Error::other("broken pipe")), None);
    }
}
