//! What is stored of whom: decided at the door, so that nothing more ever waits in a queue.
//!
//! Rule of safety: the activity of a visitor whose browser asks for privacy, and
//! whom the site respects, has neither user, session, address nor user agent;
//! nobody is asked who it is and no cookie is set. Held by the tests beside this
//! file and `tests/end_to_end/privacy.rs`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName};
use shared::event::ClientAddress;

/// <https://www.w3.org/TR/gpc/>
const GPC: HeaderName = HeaderName::from_static("sec-gpc");
const DNT: HeaderName = HeaderName::from_static("dnt");

const IPV4_KEPT: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const IPV6_KEPT: Ipv6Addr = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0, 0, 0, 0, 0);

/// `--ip-privacy`: how much of an address is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpPrivacy {
    #[default]
    Full,
    /// The network: IPv4 to /24, IPv6 to /48.
    Truncate,
    None,
}

/// A header of the browser by which a visitor asks for privacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivacySignal {
    /// `Sec-GPC: 1`, Global Privacy Control.
    Gpc,
    /// `DNT: 1`, Do Not Track.
    Dnt,
}

impl PrivacySignal {
    fn is_sent(self, headers: &HeaderMap) -> bool {
        let name = match self {
            Self::Gpc => GPC,
            Self::Dnt => DNT,
        };
        headers.get(name).is_some_and(|value| value.as_bytes().trim_ascii() == b"1")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivacyConfig {
    pub ip: IpPrivacy,
    /// Those that count; none by default.
    pub respected: Vec<PrivacySignal>,
}

impl PrivacyConfig {
    /// Whether the visitor asks for privacy in a way that counts.
    #[must_use]
    pub fn is_asked_for(&self, headers: &HeaderMap) -> bool {
        self.respected.iter().any(|signal| signal.is_sent(headers))
    }

    /// What is stored of an address.
    #[must_use]
    pub fn address(&self, address: ClientAddress) -> Option<ClientAddress> {
        match self.ip {
            IpPrivacy::Full => Some(address),
            IpPrivacy::Truncate => Some(ClientAddress::new(match address.ip() {
                IpAddr::V4(address) => IpAddr::V4(address & IPV4_KEPT),
                IpAddr::V6(address) => IpAddr::V6(address & IPV6_KEPT),
            })),
            IpPrivacy::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn addresses_are_cut_to_their_network() {
        let stored = |ip, text: &str| {
            let address = ClientAddress::new(text.parse().expect("an address"));
            PrivacyConfig { ip, respected: vec![] }.address(address).map(|address| address.to_string())
        };
        for (text, network) in [
            ("192.0.2.129", "192.0.2.0"),
            ("::ffff:192.0.2.129", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("::1", "::"),
        ] {
            assert_eq!(stored(IpPrivacy::Truncate, text).as_deref(), Some(network));
            assert_eq!(stored(IpPrivacy::None, text), None);
        }
        assert_eq!(stored(IpPrivacy::Full, "192.0.2.129").as_deref(), Some("192.0.2.129"));
    }

    #[test]
    fn only_a_one_asks_and_only_what_is_respected_counts() {
        let both = PrivacyConfig {
            respected: vec![PrivacySignal::Gpc, PrivacySignal::Dnt],
            ..PrivacyConfig::default()
        };
        let dnt = PrivacyConfig { respected: vec![PrivacySignal::Dnt], ..PrivacyConfig::default() };
        for (name, value, by_both, by_dnt) in [
            (GPC, "1", true, false),
            (DNT, "1", true, true),
            (DNT, " 1", true, true),
            (DNT, "0", false, false),
            (GPC, "", false, false),
            (GPC, "true", false, false),
        ] {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            assert_eq!(
                (both.is_asked_for(&headers), dnt.is_asked_for(&headers)),
                (by_both, by_dnt),
                "{value}"
            );
            assert!(!PrivacyConfig::default().is_asked_for(&headers));
        }
    }
}
