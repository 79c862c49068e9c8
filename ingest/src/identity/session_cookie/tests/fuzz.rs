//! Cookies that are nearly ours.

use shared::fuzz::{Target, mutated};

use super::*;

#[test]
fn fuzz_a_spoilt_cookie_is_nobodys_session() {
    let values = (any::<u128>(), 0_u64..AGE).prop_map(|(id, age)| {
        let claim = Claim { id: Uuid::from_u128(id), issued: seconds(noon()) - age };
        let mut value = String::new();
        SigningKey::new(KEY).write(&claim, &mut value);
        (claim, value)
    });
    let spoilt = values.prop_flat_map(|(claim, value)| {
        (Just((claim, value.clone())), mutated(Just(value.into_bytes()), &[".", "0", "A", "=", "-", "_"]))
    });
    Target::new("session_cookies", file!()).run(spoilt, |((claim, sound), value)| {
        let header = HeaderMap::from_iter(
            [&b"djaffar_session="[..], &value].concat().try_into().map(|value: HeaderValue| (COOKIE, value)),
        );
        let resolved = sessions().resolve(&header, noon(), Https::No);
        if value == sound.as_bytes() {
            prop_assert_eq!(resolved.presented, PresentedSession::Verified);
            prop_assert_eq!(resolved.id, session_id(claim.id));
        } else if header.is_empty() {
            prop_assert_eq!(resolved.presented, PresentedSession::Absent);
        } else if resolved.presented == PresentedSession::Verified {
            // White space, quotes or another cookie around it.
            prop_assert_eq!(resolved.id, session_id(claim.id));
            prop_assert!(value.len() > sound.len());
        } else {
            prop_assert!(resolved.id != session_id(claim.id) && resolved.set_cookie.is_some());
        }
        Ok(())
    });
}
