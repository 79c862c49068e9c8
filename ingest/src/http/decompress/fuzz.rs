//! Compressed bodies that are nearly right, and bombs.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use shared::fuzz::{Target, mutated};

use super::*;
use crate::budget::Budget;

const BYTES_MAX: usize = 256 * 1024;
const WORDS: &[&str] = &["\u{1f}", "(\u{b5}/\u{fd}", "\0\0\0\0", "\u{1}\0\0", "\u{8}\u{1e}"];

/// Texts that repeat more or less, some of them as long as a bomb.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let part = (proptest::collection::vec(any::<u8>(), 0..40), 1_usize..20);
    let parts = proptest::collection::vec(part, 0..8);
    (parts, prop_oneof![9 => Just(1_usize), 1 => 1_usize..2000]).prop_map(|(parts, times)| {
        let once = parts.iter().flat_map(|(bytes, times)| bytes.repeat(*times)).collect::<Vec<u8>>();
        once.repeat(times)
    })
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn encode(coding: Coding, body: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => gzip(body),
        Coding::Zstd => zstd::encode_all(body, 1).expect("memory"),
        Coding::Identity => body.to_vec(),
    }
}

fn coding() -> impl Strategy<Value = Coding> {
    prop_oneof![Just(Coding::Gzip), Just(Coding::Zstd)]
}

/// What comes out is within its limits, and so is the memory that it took.
fn decode(coding: Coding, coded: &[u8]) -> Result<Result<Bytes, BodyError>, TestCaseError> {
    let budget = Budget::new(usize::MAX / 2);
    let mut reservation = budget.reserve(coded.len()).expect("memory");
    let decoded = coding.decode(Bytes::copy_from_slice(coded), BYTES_MAX, &mut reservation);
    let limit = BYTES_MAX.min(RATIO_FREE_BYTES + coded.len() * RATIO_MAX);
    prop_assert!(budget.reserved() <= coded.len() + limit + 1);
    if let Ok(bytes) = &decoded {
        prop_assert!(bytes.len() <= limit);
        prop_assert!(budget.reserved() >= coded.len() + bytes.len());
    }
    drop(reservation);
    prop_assert_eq!(budget.reserved(), 0);
    Ok(decoded)
}

#[test]
fn fuzz_a_body_comes_back_or_is_too_large() {
    let bodies = (coding(), proptest::collection::vec(body(), 1..4));
    Target::new("compressed_bodies", file!()).cases(50).run(bodies, |(coding, bodies)| {
        let coded: Vec<_> = bodies.iter().flat_map(|body| encode(coding, body)).collect();
        let whole = bodies.concat();
        let limit = BYTES_MAX.min(RATIO_FREE_BYTES + coded.len() * RATIO_MAX);
        let expected = if whole.len() > limit { Err(BodyError::TooLarge) } else { Ok(Bytes::from(whole)) };
        prop_assert_eq!(decode(coding, &coded)?, expected);
        Ok(())
    });
}

#[test]
fn fuzz_a_spoilt_body_is_corrupt_too_large_or_within_limits() {
    let bodies = (coding(), body()).prop_flat_map(|(coding, body)| {
        (Just(coding), Just(body.clone()), mutated(Just(encode(coding, &body)), WORDS))
    });
    Target::new("spoilt_compression", file!()).cases(50).run(bodies, |(coding, body, coded)| {
        match decode(coding, &coded)? {
            // gzip has a checksum; of zstd's only those with one could say that a literal has changed.
            Ok(decoded) if coding == Coding::Gzip && coded.starts_with(&encode(coding, &body)[..10]) => {
                prop_assert!(decoded == body || coded.len() != encode(coding, &body).len());
            }
            Ok(_) => {}
            Err(error) => prop_assert!(matches!(error, BodyError::Corrupt | BodyError::TooLarge)),
        }
        Ok(())
    });
}

#[test]
fn fuzz_noise_is_no_body() {
    let noise = proptest::collection::vec(any::<u8>(), 0..200);
    Target::new("noise", file!()).run((coding(), noise), |(coding, noise)| {
        // Whoever hits the magic and a whole empty frame has made one.
        let decoded = decode(coding, &noise)?;
        prop_assert!(decoded.is_err() || noise.len() >= 9);
        Ok(())
    });
}
