//! Reads the accounting and the dead letters.

use shared::accounting::Accounting;
use sqlx::PgConnection;

use super::error::Failure;
use crate::store::status::{DeadLetterTotals, StoreStatus};

const ACCOUNTING: &str =
    "SELECT writer_id, delivered, stored, duplicate, dead, suppressed FROM accounting ORDER BY writer_id";
const DEAD_LETTERS: &str = "SELECT count(*), coalesce(sum(octet_length(bytes)), 0)::bigint FROM dead_letter";

pub(super) async fn read(connection: &mut PgConnection) -> Result<StoreStatus, Failure> {
    let rows: Vec<(String, i64, i64, i64, i64, i64)> =
        sqlx::query_as(ACCOUNTING).fetch_all(&mut *connection).await?;
    let (count, bytes): (i64, i64) = sqlx::query_as(DEAD_LETTERS).fetch_one(connection).await?;
    let accounting = rows.into_iter().map(|(writer, delivered, stored, duplicate, dead, suppressed)| {
        let totals = [delivered, stored, duplicate, dead, suppressed].map(i64::cast_unsigned);
        let [delivered, stored, duplicate, dead, suppressed] = totals;
        (writer, Accounting { delivered, stored, duplicate, dead, suppressed })
    });
    Ok(StoreStatus {
        accounting: accounting.collect(),
        dead_letters: DeadLetterTotals { count: count.cast_unsigned(), bytes: bytes.cast_unsigned() },
    })
}
