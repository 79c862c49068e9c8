mod fuzz;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const TRUSTED: &str = "10.0.0.0/8, 192.168.1.1,2001:db8:5::/48, ::ffff:172.16.0.0/108";
const PROXY: &str = "10.0.0.1";

fn addresses(header: ForwardedHeader) -> ClientAddresses {
    ClientAddresses::new(TRUSTED.parse().expect("networks"), header)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
    }
    headers
}

#[test]
fn x_forwarded_for_is_walked_from_the_right() {
    for (peer, lines, client) in [
        (PROXY, &["203.0.113.7"][..], "203.0.113.7"),
        (PROXY, &[], PROXY),
        (PROXY, &[""], PROXY),
        (PROXY, &[" , ,"], PROXY),
        ("198.51.100.9", &["203.0.113.7"], "198.51.100.9"),
        ("::ffff:198.51.100.9", &["203.0.113.7"], "198.51.100.9"),
        ("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
        ("172.16.3.4", &["203.0.113.7"], "203.0.113.7"),
        ("2001:db8:5::7", &["203.0.113.7"], "203.0.113.7"),
        (PROXY, &["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
        (PROXY, &["1.1.1.1, 203.0.113.7, 10.9.9.9,192.168.1.1"], "203.0.113.7"),
        (PROXY, &["1.1.1.1", "203.0.113.7", "10.9.9.9"], "203.0.113.7"),
        (PROXY, &["garbage, 203.0.113.7"], "203.0.113.7"),
        (PROXY, &["\", 203.0.113.7"], "203.0.113.7"),
        (PROXY, &["\u{e9}\u{ff}", "203.0.113.7"], "203.0.113.7"),
        (PROXY, &["203.0.113.7, garbage"], PROXY),
        (PROXY, &["203.0.113.7, unknown, 10.9.9.9"], PROXY),
        (PROXY, &["203.0.113.7, \u{e9}"], PROXY),
        (PROXY, &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        (PROXY, &["203.0.113.7,"], "203.0.113.7"),
        (PROXY, &["203.0.113.7:4711"], "203.0.113.7"),
        (PROXY, &["203.0.113.7:99999"], PROXY),
        (PROXY, &["203.0.113.7:"], PROXY),
        (PROXY, &["203.0.113.07"], PROXY),
        (PROXY, &["203.0.113"], PROXY),
        (PROXY, &["2001:db8::1"], "2001:db8::1"),
        (PROXY, &["[2001:db8::1]"], "2001:db8::1"),
        (PROXY, &["[2001:db8::1]:4711"], "2001:db8::1"),
        (PROXY, &["[2001:db8::1]4711"], PROXY),
        (PROXY, &["[2001:db8::1"], PROXY),
        (PROXY, &["fe80::1%eth0"], PROXY),
        (PROXY, &["::ffff:203.0.113.7"], "203.0.113.7"),
        (PROXY, &["203.0.113.7, ::ffff:10.1.1.1"], "203.0.113.7"),
        (PROXY, &["localhost"], PROXY),
    ] {
        let pairs: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let mut headers = headers(&pairs);
        headers.append("forwarded", HeaderValue::from_static("for=6.6.6.6"));
        let resolved = addresses(ForwardedHeader::XForwardedFor).resolve(ip(peer), &headers);
        assert_eq!(resolved.to_string(), client, "{peer} {lines:?}");
    }
}

#[test]
fn forwarded_is_walked_from_the_right() {
    for (peer, lines, client) in [
        (PROXY, &["for=203.0.113.7"][..], "203.0.113.7"),
        (PROXY, &[], PROXY),
        ("198.51.100.9", &["for=203.0.113.7"], "198.51.100.9"),
        (PROXY, &["For=\"203.0.113.7:4711\";proto=http;by=10.0.0.1"], "203.0.113.7"),
        (PROXY, &["proto=https ; for = 203.0.113.7"], PROXY),
        (PROXY, &["proto=https; for=203.0.113.7"], "203.0.113.7"),
        (PROXY, &["for=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
        (PROXY, &["for=\"[2001:db8:cafe::17]:_port\""], "2001:db8:cafe::17"),
        (PROXY, &["for=1.1.1.1, for=203.0.113.7, for=10.2.2.2;by=10.0.0.1"], "203.0.113.7"),
        (PROXY, &["for=1.1.1.1", "for=203.0.113.7", "for=10.2.2.2"], "203.0.113.7"),
        (PROXY, &["for=\", for=203.0.113.7"], "203.0.113.7"),
        (PROXY, &["for=\"1.1.1.1, for=203.0.113.7;by=\"_a,b\""], "203.0.113.7"),
        (PROXY, &["for=\"", "for=203.0.113.7"], "203.0.113.7"),
        (PROXY, &["for=203.0.113.7;host=\"a,for=6.6.6.6\""], "203.0.113.7"),
        (PROXY, &["for=203.0.113.7;host=\"a;for=6.6.6.6\""], "203.0.113.7"),
        (PROXY, &["for=6.6.6.6;for=203.0.113.7"], PROXY),
        (PROXY, &["for=unknown"], PROXY),
        (PROXY, &["for=_hidden, for=10.2.2.2"], PROXY),
        (PROXY, &["for=\"203.0.\\113.7\""], PROXY),
        (PROXY, &["203.0.113.7"], PROXY),
        (PROXY, &["proto=https"], PROXY),
    ] {
        let pairs: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        let mut headers = headers(&pairs);
        headers.append("x-forwarded-for", HeaderValue::from_static("6.6.6.6"));
        let resolved = addresses(ForwardedHeader::Forwarded).resolve(ip(peer), &headers);
        assert_eq!(resolved.to_string(), client, "{peer} {lines:?}");
    }
}

#[test]
fn a_long_chain_is_the_peer() {
    let hops = |count: usize| headers(&[("x-forwarded-for", &vec!["10.1.1.1"; count].join(","))]);
    let addresses = addresses(ForwardedHeader::XForwardedFor);
    assert_eq!(addresses.resolve(ip(PROXY), &hops(HOPS_MAX)).to_string(), "10.1.1.1");
    assert_eq!(addresses.resolve(ip(PROXY), &hops(HOPS_MAX + 1)).to_string(), PROXY);
    assert_eq!(addresses.resolve(ip(PROXY), &hops(1000)).to_string(), PROXY);
    let forged = headers(&[("x-forwarded-for", &format!("{}203.0.113.7", "6.6.6.6,".repeat(1000)))]);
    assert_eq!(addresses.resolve(ip(PROXY), &forged).to_string(), "203.0.113.7");
}

#[test]
fn scheme_and_host_come_from_trusted_proxies_only() {
    use ForwardedHeader::{Forwarded, XForwardedFor};
    let x = |proto, host| headers(&[("x-forwarded-proto", proto), ("x-forwarded-host", host)]);
    let forwarded = |value| headers(&[("forwarded", value)]);
    for (header, peer, headers, https, host) in [
        (XForwardedFor, PROXY, x("https", "example.com"), Https::Yes, Some("example.com")),
        (
            XForwardedFor,
            PROXY,
            x("HTTPS, http", "example.com:8443, inner"),
            Https::Yes,
            Some("example.com:8443"),
        ),
        (XForwardedFor, PROXY, x("http", "example.com"), Https::No, Some("example.com")),
        (XForwardedFor, PROXY, x("", "\u{ff}"), Https::No, Some("\u{ff}")),
        (XForwardedFor, "198.51.100.9", x("https", "example.com"), Https::No, None),
        (XForwardedFor, PROXY, forwarded("for=1.1.1.1;proto=https;host=example.com"), Https::No, None),
        (Forwarded, PROXY, x("https", "example.com"), Https::No, None),
        (
            Forwarded,
            PROXY,
            forwarded(
                "for=1.1.1.1;proto=https;host=\"example.com:8443\", for=10.2.2.2;proto=http;host=inner",
            ),
            Https::Yes,
            Some("example.com:8443"),
        ),
        (
            Forwarded,
            PROXY,
            forwarded(
                "for=6.6.6.6;proto=https;host=evil.example, for=203.0.113.7;proto=http;host=example.com",
            ),
            Https::No,
            Some("example.com"),
        ),
        (Forwarded, PROXY, forwarded("proto=https, for=10.2.2.2;proto=http"), Https::No, None),
        (Forwarded, "198.51.100.9", forwarded("for=1.1.1.1;proto=https"), Https::No, None),
    ] {
        let addresses = addresses(header);
        assert_eq!(addresses.https(ip(peer), &headers), https, "{headers:?}");
        assert_eq!(addresses.forwarded_host(ip(peer), &headers), host, "{headers:?}");
    }
}

#[test]
fn settings_are_refused_with_a_sentence() {
    for setting in ["10.0.0.0/33", "localhost", "10.0.0.1,proxy", "*"] {
        let refusal = setting.parse::<TrustedProxies>().expect_err("a refusal");
        assert!(refusal.starts_with("--trusted-proxies: `"), "{refusal}");
    }
    assert_eq!("".parse(), Ok(TrustedProxies::default()));
    assert_eq!("X-Forwarded-For".parse(), Ok(ForwardedHeader::XForwardedFor));
    assert!("x-real-ip".parse::<ForwardedHeader>().expect_err("a refusal").starts_with("--forwarded-header"));
}

proptest! {
    #[test]
    fn no_header_panics_and_none_speaks_for_a_stranger(value in "[ -~\\x80-\\xff]{0,120}") {
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            let headers = headers(&[("x-forwarded-for", &value), ("forwarded", &value), ("x-forwarded-proto", &value)]);
            let addresses = addresses(header);
            let said = addresses.forwarded_host(ip(PROXY), &headers);
            prop_assert!(said.is_none_or(|host| value.contains(host)));
            if addresses.https(ip(PROXY), &headers) == Https::Yes {
                prop_assert!(value.to_ascii_lowercase().contains("https"));
            }
            let client = addresses.resolve(ip(PROXY), &headers).to_string();
            prop_assert!(client == PROXY || client.contains(['.', ':']));
            prop_assert_eq!(addresses.resolve(ip("198.51.100.9"), &headers).to_string(), "198.51.100.9");
        }
    }

    /// A client can write whatever it wants at the left: its own address, which the proxy appends, wins.
    #[test]
    fn what_a_client_writes_does_not_change_its_address(forged in "[ -~\\x80-\\xff]{0,120}") {
        let (x, standard) = (format!("{forged}, 203.0.113.7"), format!("{forged}, for=203.0.113.7;proto=https"));
        let headers = headers(&[("x-forwarded-for", &x), ("forwarded", &standard)]);
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            prop_assert_eq!(addresses(header).resolve(ip(PROXY), &headers).to_string(), "203.0.113.7");
        }
    }
}
