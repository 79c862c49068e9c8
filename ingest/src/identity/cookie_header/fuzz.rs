//! Cookie headers against a plain model of them.

use http::HeaderValue;
use proptest::prelude::*;
use shared::fuzz::{Target, mutated, one_of};

use super::*;

#[test]
fn fuzz_each_cookie_of_the_name_is_found_and_nothing_else() {
    let pair = (prop_oneof!["s", "[a-zS-]{1,3}"], "[!#-+--:<-~]{0,12}", any::<bool>());
    let lines = proptest::collection::vec(proptest::collection::vec(pair, 0..5), 1..3);
    Target::new("cookies", file!()).run(lines, |lines| {
        let mut headers = HeaderMap::new();
        for line in &lines {
            let pairs: Vec<_> = line
                .iter()
                .map(
                    |(name, value, quoted)| {
                        if *quoted { format!("{name}=\"{value}\"") } else { format!("{name}={value}") }
                    },
                )
                .collect();
            headers.append(COOKIE, HeaderValue::try_from(pairs.join("; ")).expect("a header"));
        }
        let found: Vec<_> = values(&headers, "s").collect();
        let sent: Vec<_> = lines
            .iter()
            .flatten()
            .filter(|(name, ..)| name == "s")
            .map(|(_, value, _)| value.as_bytes())
            .collect();
        prop_assert_eq!(found, sent);
        Ok(())
    });
}

#[test]
fn fuzz_a_spoilt_header_yields_parts_of_itself() {
    let lines = mutated(
        one_of(&["a=0; s=1; b=2", "s=\"1\";s=2", " s = 1 ;s", ";;s==;"]).prop_map(String::into_bytes),
        &[";", "=", "\"", " ", "\t", "s", "s=", "\u{e9}"],
    );
    Target::new("spoilt_cookies", file!()).run(lines, |line| {
        let Ok(value) = HeaderValue::from_bytes(&line) else { return Ok(()) };
        let headers = HeaderMap::from_iter([(COOKIE, value)]);
        for found in values(&headers, "s") {
            prop_assert!(!found.contains(&b';'));
            prop_assert_eq!(found.trim_ascii().len() <= line.len(), true);
            prop_assert!(found.is_empty() || line.windows(found.len()).any(|window| window == found));
        }
        Ok(())
    });
}
