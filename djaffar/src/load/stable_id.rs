//! Ids of rows that come without one of ours: the same row has the same id each time it is loaded.
//!
//! UUIDs of version 8 (RFC 9562, 5.8). A key of the source stands readable in their first 48 bits,
//! so that rows of django-djaffar keep their order; the other 74 are a digest. Anybody can make
//! them again: SHA-256 of `djaffar.activity KEY DATE`, the date as `2016-12-29T07:35:22.571000Z`, cut
//! to milliseconds as in a fixture. `django/djaffar/original.py` does, for rows that it moves over.

use sha2::{Digest, Sha256};
use shared::event::{EventDate, EventId};
use uuid::Uuid;

/// Of a row with a whole number for its key, as django-djaffar's have.
pub(super) fn of_key(key: i128, date: EventDate) -> EventId {
    let date = date.instant().format("%Y-%m-%dT%H:%M:%S%.3f000Z");
    let digest = Sha256::digest(format!("djaffar.activity {key} {date}").as_bytes());
    let head = u64::try_from(key).ok().filter(|key| *key < 1 << 48);
    let mut bytes = [0; 16];
    match head {
        Some(key) => bytes[..6].copy_from_slice(&key.to_be_bytes()[2..]),
        None => bytes[..6].copy_from_slice(&digest[10..16]),
    }
    bytes[6..].copy_from_slice(&digest[..10]);
    version_8(bytes)
}

/// Of a row without any key: two rows that are equal in everything are one.
pub(super) fn of_contents(date: EventDate, texts: [Option<&str>; 5]) -> EventId {
    let mut digest = Sha256::new();
    digest.update(b"djaffar.activity");
    digest.update(date.micros().to_be_bytes());
    for text in texts {
        // The length before each, so that no two rows run together to one text.
        digest.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        digest.update(text.unwrap_or_default().as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    version_8(bytes)
}

fn version_8(mut bytes: [u8; 16]) -> EventId {
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    EventId(Uuid::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(micros: i64) -> EventDate {
        EventDate::from_micros(micros).unwrap()
    }

    #[test]
    fn keys_are_readable_and_keep_their_order() {
        let ids: Vec<EventId> = [1, 2, 65_536, 1 << 47].map(|key| of_key(key, date(7))).into();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].0.to_string()[..14], *"00000000-0001-");
        assert_eq!(ids[2].0.to_string()[..14], *"00000001-0000-");
        assert!(ids.iter().all(|id| id.0.get_version_num() == 8));
        assert_eq!(of_key(1, date(7)), of_key(1, date(8)), "a fixture does not know more");
        assert_ne!(of_key(1, date(7)), of_key(1, date(1007)), "another site's first row");
        assert_ne!(of_key(-1, date(7)), of_key(1 << 48, date(7)));
    }

    #[test]
    fn python_makes_the_same_ids() {
        // digest = hashlib.sha256(b"djaffar.activity 1 2016-12-29T07:35:22.571000Z").digest()
        // number = 1 << 80 | int.from_bytes(digest[:10])
        // uuid.UUID(int=number & ~(0xf << 76 | 3 << 62) | 8 << 76 | 2 << 62)
        assert_eq!(
            of_key(1, date(1_482_996_922_571_000)).0.to_string(),
            "00000000-0001-8e20-973a-30c1f9aac793"
        );
    }

    #[test]
    fn contents_that_differ_anywhere_have_other_ids() {
        let of = |texts| of_contents(date(7), texts);
        let ids = [
            of([None, None, None, Some("a"), Some("")]),
            of([Some(""), None, None, Some("a"), Some("")]),
            of([None, None, None, Some(""), Some("a")]),
            of_contents(date(8), [None, None, None, Some("a"), Some("")]),
        ];
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
    }
}
