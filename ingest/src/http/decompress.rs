//! Request bodies that come compressed: gzip or zstd, one of them, once.
//!
//! Rule of safety: what comes out is bounded before it is made, by the route's
//! limit and by a ratio to what came in, and its memory is reserved as it
//! grows. Held by the tests beside this file and by `tests/bad_input`.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::body::BodyError;
use crate::budget::Reservation;

/// Texts of log requests shrink to a tenth, repetitive ones to a fiftieth.
const RATIO_MAX: usize = 100;
/// A small body may be as repetitive as it likes.
const RATIO_FREE_BYTES: usize = 64 * 1024;
/// RFC 9659: no sender of HTTP may ask for a window of more than 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// The memory grows from here by doubling.
const FIRST_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// # Errors
    /// [`BodyError::UnsupportedEncoding`] for another coding, or for more than one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, BodyError> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(coding) = values.next() else { return Ok(Self::Identity) };
        let is = |name: &[u8]| coding.as_bytes().eq_ignore_ascii_case(name);
        match values.next() {
            None if is(b"gzip") => Ok(Self::Gzip),
            None if is(b"zstd") => Ok(Self::Zstd),
            None if is(b"identity") => Ok(Self::Identity),
            _ => Err(BodyError::UnsupportedEncoding),
        }
    }

    /// The body as it was before its coding. `reservation` holds the memory of the coded one
    /// and, as it grows, of the other.
    ///
    /// It never waits, so that no more decoders exist at once than there are threads.
    pub(super) fn decode(
        self,
        coded: Bytes,
        bytes_max: usize,
        reservation: &mut Reservation,
    ) -> Result<Bytes, BodyError> {
        if self == Self::Identity {
            return Ok(coded);
        }
        if coded.is_empty() {
            return Err(BodyError::Corrupt);
        }
        let bytes_max = bytes_max.min(RATIO_FREE_BYTES.saturating_add(coded.len().saturating_mul(RATIO_MAX)));
        match self {
            Self::Identity => Ok(coded),
            Self::Gzip => read_whole(MultiGzDecoder::new(&*coded), bytes_max, reservation),
            Self::Zstd => {
                let decoder = zstd_decoder(&coded).map_err(|_| BodyError::Corrupt)?;
                read_whole(decoder, bytes_max, reservation)
            }
        }
    }
}

fn zstd_decoder(coded: &[u8]) -> io::Result<ZstdDecoder<'_, &[u8]>> {
    let mut decoder = ZstdDecoder::with_buffer(coded)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

fn read_whole(
    mut decoder: impl Read,
    bytes_max: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, BodyError> {
    let mut whole = Vec::new();
    loop {
        // One byte more than is allowed shows that there is more.
        let step = whole.len().max(FIRST_BYTES).min(bytes_max + 1 - whole.len());
        reservation.grow(step).ok_or(BodyError::Overloaded)?;
        whole.reserve_exact(step);
        let mut part = decoder.by_ref().take(step as u64);
        let read = part.read_to_end(&mut whole).map_err(|_| BodyError::Corrupt)?;
        if whole.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        if read < step {
            return Ok(whole.into());
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::budget::Budget;

    const BYTES_MAX: usize = 1024 * 1024;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(body: &[u8]) -> Vec<u8> {
        zstd::encode_all(body, 19).expect("memory")
    }

    fn decode(coding: Coding, coded: &[u8], budget: &Budget) -> Result<Bytes, BodyError> {
        let mut reservation = budget.reserve(coded.len()).expect("memory");
        coding.decode(Bytes::copy_from_slice(coded), BYTES_MAX, &mut reservation)
    }

    /// Bytes that do not repeat.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn bodies_come_back_whole_up_to_the_limit() {
        let budget = Budget::new(8 * BYTES_MAX);
        for (coding, encode) in [(Coding::Gzip, gzip as fn(&[u8]) -> Vec<u8>), (Coding::Zstd, zstd)] {
            for body in [vec![], b"date=".to_vec(), noise(FIRST_BYTES), noise(100_000), noise(BYTES_MAX)] {
                assert_eq!(decode(coding, &encode(&body), &budget).expect("a body"), body);
            }
            let halves = [encode(b"one"), encode(b"two")].concat();
            assert_eq!(decode(coding, &halves, &budget).expect("two members"), "onetwo");
            assert_eq!(decode(coding, &encode(&noise(BYTES_MAX + 1)), &budget), Err(BodyError::TooLarge));
        }
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn bombs_are_too_large() {
        let budget = Budget::new(64 * BYTES_MAX);
        for (coding, encode) in [(Coding::Gzip, gzip as fn(&[u8]) -> Vec<u8>), (Coding::Zstd, zstd)] {
            let by_size = encode(&vec![b' '; 100 * BYTES_MAX]);
            assert_eq!(decode(coding, &by_size, &budget), Err(BodyError::TooLarge));
            let by_ratio = encode(&vec![b' '; BYTES_MAX]);
            assert!(by_ratio.len() < 2000, "{}", by_ratio.len());
            assert_eq!(decode(coding, &by_ratio, &budget), Err(BodyError::TooLarge));
            let small = encode(&vec![b' '; RATIO_FREE_BYTES]);
            assert!(decode(coding, &small, &budget).is_ok());
        }
    }

    #[test]
    fn what_is_cut_or_spoilt_is_corrupt() {
        let budget = Budget::new(8 * BYTES_MAX);
        for (coding, encode) in [(Coding::Gzip, gzip as fn(&[u8]) -> Vec<u8>), (Coding::Zstd, zstd)] {
            let sound = encode(&noise(5000));
            for length in [0, 1, 5, 17, 100, sound.len() - 9, sound.len() - 1] {
                assert_eq!(decode(coding, &sound[..length], &budget), Err(BodyError::Corrupt), "{length}");
            }
            let mut magic = sound.clone();
            magic[0] ^= 1;
            let tail = [&sound[..], b"tail"].concat();
            for spoilt in [magic, tail, noise(100), b"date=2016-12-29&path=x".to_vec()] {
                assert_eq!(decode(coding, &spoilt, &budget), Err(BodyError::Corrupt));
            }
        }
        let mut checksum = gzip(&noise(5000));
        let last = checksum.len() - 6;
        checksum[last] ^= 1;
        assert_eq!(decode(Coding::Gzip, &checksum, &budget), Err(BodyError::Corrupt));
        // A window of 2 GiB, by its descriptor.
        let window = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        assert_eq!(decode(Coding::Zstd, &window, &budget), Err(BodyError::Corrupt));
    }

    #[test]
    fn memory_is_reserved_as_it_grows() {
        let coded = zstd(&noise(100_000));
        let budget = Budget::new(coded.len() + 100_000);
        assert_eq!(decode(Coding::Zstd, &coded, &budget), Err(BodyError::Overloaded));
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn one_coding_at_most() {
        let coding = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, http::HeaderValue::from_static(value));
            }
            Coding::of(&headers)
        };
        assert_eq!(coding(&[]), Ok(Coding::Identity));
        assert_eq!(coding(&["Identity"]), Ok(Coding::Identity));
        assert_eq!(coding(&["GZip"]), Ok(Coding::Gzip));
        assert_eq!(coding(&["zstd"]), Ok(Coding::Zstd));
        for values in [&["br"][..], &[""], &["gzip, gzip"], &["gzip", "gzip"], &["identity", "zstd"]] {
            assert_eq!(coding(values), Err(BodyError::UnsupportedEncoding));
        }
    }
}
