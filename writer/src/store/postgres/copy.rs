//! Encodes activities for `COPY .. FROM STDIN (FORMAT binary)`.

use std::net::IpAddr;

use shared::event::{Activity, EventDate};
use shared::store::StoredActivity;

use crate::copy_format::{HEADER, NULL, POSTGRES_EPOCH_MICROS, TRAILER};

/// The columns of `activity` and of `stage`, in the order of [`row`].
pub(super) const COLUMNS: &str = "id, date, received_at, session_id, user_id, ip_address, path, referer";
const COLUMN_COUNT: i16 = 8;
/// Fixed columns, lengths and short texts of a row; a guess that saves most of the growing.
const ROW_BYTES_EXPECTED: usize = 224;

/// The whole stream, in place of what `bytes` holds; it can be sent again as it is.
pub(super) fn encode(activities: &[StoredActivity], bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.reserve(HEADER.len() + activities.len() * ROW_BYTES_EXPECTED);
    bytes.extend_from_slice(HEADER);
    for stored in activities {
        row(bytes, &stored.activity);
    }
    bytes.extend_from_slice(&TRAILER.to_be_bytes());
}

fn row(bytes: &mut Vec<u8>, activity: &Activity) {
    bytes.extend_from_slice(&COLUMN_COUNT.to_be_bytes());
    value(bytes, activity.id.0.as_bytes());
    date(bytes, activity.date);
    date(bytes, activity.received_at);
    text(bytes, activity.session_id.as_ref().map(|id| id.as_str()));
    text(bytes, activity.user_id.as_ref().map(|id| id.as_str()));
    match activity.ip_address {
        Some(address) => ip_address(bytes, address.ip()),
        None => bytes.extend_from_slice(&NULL.to_be_bytes()),
    }
    text(bytes, Some(activity.path.as_str()));
    text(bytes, Some(activity.referer.as_str()));
}

fn date(bytes: &mut Vec<u8>, date: EventDate) {
    value(bytes, &(date.micros() - POSTGRES_EPOCH_MICROS).to_be_bytes());
}

fn text(bytes: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => value(bytes, text.as_bytes()),
        None => bytes.extend_from_slice(&NULL.to_be_bytes()),
    }
}

/// As [`IpAddr`] prints itself, by hand where it is common: the formatter costs more than the rest of the row.
fn ip_address(bytes: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else { return value(bytes, address.to_string().as_bytes()) };
    let length_at = bytes.len();
    bytes.extend_from_slice(&[0; size_of::<i32>()]);
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            bytes.push(b'.');
        }
        if octet >= 100 {
            bytes.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            bytes.push(b'0' + octet / 10 % 10);
        }
        bytes.push(b'0' + octet % 10);
    }
    let from = length_at + size_of::<i32>();
    let length = i32::try_from(bytes.len() - from).expect("15 bytes at most");
    bytes[length_at..from].copy_from_slice(&length.to_be_bytes());
}

fn value(bytes: &mut Vec<u8>, value: &[u8]) {
    let length =
        i32::try_from(value.len()).expect("the types of an activity bound every value far below 2 GiB");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use shared::event::{ClientAddress, EventId, PagePath, Referer, SessionId, UserAgent, UserId};
    use uuid::Uuid;

    use super::*;

    fn stored(activity: Activity) -> StoredActivity {
        StoredActivity::of_no_frame(activity, 0)
    }

    fn full() -> Activity {
        Activity {
            id: EventId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)),
            date: EventDate::from_micros(POSTGRES_EPOCH_MICROS + 1).expect("a date"),
            received_at: EventDate::from_micros(POSTGRES_EPOCH_MICROS - 1).expect("a date"),
            session_id: Some(SessionId::new("s").expect("a session id")),
            user_id: Some(UserId::new("42").expect("a user id")),
            ip_address: Some(ClientAddress::new("::1".parse().expect("an address"))),
            path: PagePath::new("é").expect("a path"),
            referer: Referer::default(),
            user_agent: UserAgent::default(),
        }
    }

    fn encoded(activities: &[StoredActivity]) -> Vec<u8> {
        let mut bytes = b"of the batch before".to_vec();
        encode(activities, &mut bytes);
        bytes
    }

    #[test]
    fn addresses_are_written_as_they_print() {
        for address in ["0.0.0.0", "9.10.99.100", "255.199.200.1", "2001:db8::1"] {
            let address: IpAddr = address.parse().expect("an address");
            let mut bytes = Vec::new();
            ip_address(&mut bytes, address);
            let mut expected = Vec::new();
            value(&mut expected, address.to_string().as_bytes());
            assert_eq!(bytes, expected, "{address}");
        }
    }

    #[test]
    fn an_empty_stream_is_header_and_trailer() {
        assert_eq!(encoded(&[]), b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff");
    }

    #[test]
    fn a_row_is_its_lengths_and_values() {
        let bytes = encoded(&[stored(full())]);
        let expected: &[&[u8]] = &[
            HEADER,
            b"\x00\x08",
            b"\x00\x00\x00\x10\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10",
            b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01",
            b"\x00\x00\x00\x08\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x00\x00\x00\x01s",
            b"\x00\x00\x00\x0242",
            b"\x00\x00\x00\x03::1",
            b"\x00\x00\x00\x02\xc3\xa9",
            b"\x00\x00\x00\x00",
            b"\xff\xff",
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn what_is_missing_is_null() {
        let bare = Activity { session_id: None, user_id: None, ip_address: None, ..full() };
        let bytes = encoded(&[stored(bare)]);
        let nulls = &bytes[HEADER.len() + 2 + 20 + 12 + 12..][..12];
        assert_eq!(nulls, [0xff; 12]);
    }
}
