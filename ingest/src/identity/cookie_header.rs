//! Reads `Cookie` headers the way browsers and Django do: tolerant, without allocation.

use http::HeaderMap;
use http::header::COOKIE;

/// The values of every cookie of that name, in the order sent, one layer of quotes removed.
pub(super) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(COOKIE)
        .into_iter()
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (found, value) = (&pair[..equals], &pair[equals + 1..]);
            (found.trim_ascii() == name.as_bytes()).then(|| unquoted(value.trim_ascii()))
        })
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn finds_every_cookie_of_the_name() {
        for (lines, expected) in [
            (&["s=1"][..], &["1"][..]),
            (&["a=0; s=1; b=2"], &["1"]),
            (&["a=0;s=1;;b"], &["1"]),
            (&[" s = 1 ;s=\"2\""], &["1", "2"]),
            (&["s=1; s=2", "s=3"], &["1", "2", "3"]),
            (&["s=a=b"], &["a=b"]),
            (&["S=1; ss=2; xs=3; s; =s; s=\""], &["\""]),
            (&["", ";", "=", "\u{e9}=\u{e9}"], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).expect("a header"));
            }
            let found: Vec<_> = values(&headers, "s").collect();
            let expected: Vec<_> = expected.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }
}
