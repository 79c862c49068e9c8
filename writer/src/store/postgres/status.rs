//! Reads the accounting and the dead letters.

use sqlx::PgConnection;

use super::error::Failure;
use crate::store::status::{ACCOUNTING, StoreStatus};

const DEAD_LETTERS: &str = "SELECT count(*), coalesce(sum(octet_length(bytes)), 0)::bigint FROM dead_letter";

pub(super) async fn read(connection: &mut PgConnection) -> Result<StoreStatus, Failure> {
    let accounting = sqlx::query_as(ACCOUNTING).fetch_all(&mut *connection).await?;
    let dead_letters = sqlx::query_as(DEAD_LETTERS).fetch_one(connection).await?;
    Ok(StoreStatus::from_rows(accounting, dead_letters))
}
