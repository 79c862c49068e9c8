//! What COPY's binary format has in both directions
//! (<https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format").

pub(crate) const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, no flags, no extension of the header.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In the place of a row's number of columns: there are no more rows.
pub(crate) const TRAILER: i16 = -1;
/// In the place of a value's length.
pub(crate) const NULL: i32 = -1;
/// Microseconds from 1970-01-01 to 2000-01-01, where Postgres counts from.
pub(crate) const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
