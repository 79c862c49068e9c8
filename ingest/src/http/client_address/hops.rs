//! The hops that proxies have written down, the nearest first.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Elements of a repeated header as one list, from right to left; empty ones are left out.
///
/// Quotes are counted from the right, where the nearest proxy wrote: what a client has put at
/// the left cannot swallow it.
pub(super) fn from_the_right<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers
        .get_all(name)
        .into_iter()
        .rev()
        .flat_map(|line| {
            let mut quoted = false;
            line.as_bytes().rsplit(move |byte| {
                quoted ^= *byte == b'"';
                *byte == b',' && !quoted
            })
        })
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Elements of RFC 7239's `Forwarded`, from right to left.
pub(super) fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = ForwardedElement<'_>> {
    from_the_right(headers, &FORWARDED).map(ForwardedElement)
}

/// `for=192.0.2.60;proto=https;host="example.com:8443"`
#[derive(Clone, Copy)]
pub(super) struct ForwardedElement<'a>(&'a [u8]);

impl<'a> ForwardedElement<'a> {
    /// A parameter's value without its quotes; `None` when it is absent, given twice or escaped.
    pub(super) fn parameter(self, name: &str) -> Option<&'a str> {
        let mut quoted = false;
        let parameters = self.0.split(move |byte| {
            quoted ^= *byte == b'"';
            *byte == b';' && !quoted
        });
        let mut values = parameters.filter_map(|parameter| {
            let (key, value) = std::str::from_utf8(parameter).ok()?.trim().split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let value = match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"')?,
            None => value,
        };
        (!value.contains(['"', '\\'])).then_some(value)
    }
}

/// An address with or without port, IPv6 with or without brackets; never a name.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let sound = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return sound.then(|| address.parse().ok().map(IpAddr::V6))?;
    }
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = text.split_once(':')?;
    is_port(port).then(|| address.parse().ok().map(IpAddr::V4))?
}

/// A number, or one of RFC 7239's obfuscated ports (`_secret`).
fn is_port(port: &str) -> bool {
    let digits = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    (digits && port.parse::<u16>().is_ok()) || (port.len() > 1 && port.starts_with('_'))
}
