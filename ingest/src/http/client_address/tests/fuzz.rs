//! Chains of proxies with anything before them.

use shared::fuzz::{Target, mutated_text, one_of};

use super::*;

const WORDS: &[&str] = &[
    ",",
    ";",
    "=",
    "\"",
    "\\",
    " ",
    "[",
    "]",
    ":",
    "for=",
    "For=",
    "proto=https",
    "host=",
    "unknown",
    "_hidden",
    "10.0.0.1",
    "203.0.113.9",
    "[2001:db8::1]:4711",
    "::ffff:10.0.0.1",
    "\u{e9}",
];

/// How proxies write hops.
fn spelled(address: IpAddr, spelling: u8, standard: bool) -> String {
    let bare = match (address, spelling % 3) {
        (IpAddr::V4(v4), 0) => v4.to_string(),
        (IpAddr::V4(v4), 1) => format!("{v4}:4711"),
        (IpAddr::V4(v4), _) => {
            if standard {
                format!("{v4}:_p")
            } else {
                format!("[::ffff:{v4}]")
            }
        }
        (IpAddr::V6(v6), 0) => format!("[{v6}]"),
        (IpAddr::V6(v6), 1) => format!("[{v6}]:4711"),
        (IpAddr::V6(v6), _) => {
            if standard {
                format!("[{v6}]:_p")
            } else {
                v6.to_string()
            }
        }
    };
    if standard { format!("proto=https;for=\"{bare}\";by=_x") } else { bare }
}

fn proxy() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
        Just(ip("192.168.1.1")),
        Just(ip("2001:db8:5::9"))
    ]
}

fn stranger() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>()
        .prop_filter("a stranger", |address| !addresses(ForwardedHeader::Forwarded).is_trusted(*address))
}

#[test]
fn fuzz_the_hop_before_the_proxies_is_the_client_whatever_stands_before_it() {
    let forged = mutated_text(one_of(&["203.0.113.1, 10.0.0.1", "for=1.1.1.1;proto=http", ""]), WORDS)
        .prop_filter("a header", |text| HeaderValue::from_str(text).is_ok());
    let chain = (stranger(), proptest::collection::vec((proxy(), any::<u8>()), 0..6), any::<u8>());
    Target::new("forwarded_headers", file!()).run(
        (forged, chain),
        |(forged, (client, proxies, spelling))| {
            for (name, header, standard) in [
                ("x-forwarded-for", ForwardedHeader::XForwardedFor, false),
                ("forwarded", ForwardedHeader::Forwarded, true),
            ] {
                let hops = proxies.iter().map(|(proxy, spelling)| spelled(*proxy, *spelling, standard));
                let chain: Vec<_> = [spelled(client, spelling, standard)].into_iter().chain(hops).collect();
                let chain = chain.join(" ,");
                let one_line = headers(&[(name, &format!("{forged}, {chain}"))]);
                let two_lines = headers(&[(name, &forged), (name, &chain)]);
                for headers in [one_line, two_lines] {
                    let resolved = addresses(header).resolve(ip(PROXY), &headers);
                    prop_assert_eq!(resolved, ClientAddress::new(client), "{:?}", headers);
                    let direct = addresses(header).resolve(client, &headers);
                    prop_assert_eq!(direct, ClientAddress::new(client));
                    if standard {
                        prop_assert_eq!(addresses(header).https(ip(PROXY), &headers), Https::Yes);
                    }
                }
            }
            Ok(())
        },
    );
}

#[test]
fn fuzz_a_spoilt_chain_is_an_address_that_stands_in_it_or_the_peer() {
    let chains = one_of(&[
        "203.0.113.7, 10.9.9.9,192.168.1.1",
        "[2001:db8::1]:4711, 10.1.1.1",
        "for=203.0.113.7;proto=https;host=\"a,b\", for=10.2.2.2",
        "for=\"[2001:db8:cafe::17]:_x\";by=\"_a,b\"",
    ]);
    let chains =
        mutated_text(chains, WORDS).prop_filter("a header", |text| HeaderValue::from_str(text).is_ok());
    Target::new("spoilt_forwarded_headers", file!()).run(chains, |chain| {
        for (name, header) in
            [("x-forwarded-for", ForwardedHeader::XForwardedFor), ("forwarded", ForwardedHeader::Forwarded)]
        {
            let headers = headers(&[(name, &chain)]);
            let addresses = addresses(header);
            let client = addresses.resolve(ip(PROXY), &headers);
            prop_assert_eq!(addresses.resolve(ip(PROXY), &headers), client);
            // A quoted hop may hold separators, so an address may end at its bracket or its port's colon.
            let words = |ends: &'static [char]| {
                chain.split(|c: char| ",;\"= ".contains(c) || ends.contains(&c)).map(str::trim)
            };
            let written = words(&[]).chain(words(&['[', ']'])).chain(words(&[':'])).filter_map(hops::address);
            let mut possible = written.map(ClientAddress::new).chain([ClientAddress::new(ip(PROXY))]);
            prop_assert!(possible.any(|address| address == client), "{client}");
        }
        Ok(())
    });
}
