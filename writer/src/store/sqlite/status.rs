//! Reads the accounting and the dead letters.

use sqlx::SqliteConnection;

use super::error::Failure;
use crate::store::status::{ACCOUNTING, StoreStatus};

const DEAD_LETTERS: &str = "SELECT count(*), coalesce(sum(length(bytes)), 0) FROM dead_letter";

pub(super) async fn read(connection: &mut SqliteConnection) -> Result<StoreStatus, Failure> {
    let accounting = sqlx::query_as(ACCOUNTING).fetch_all(&mut *connection).await?;
    let dead_letters = sqlx::query_as(DEAD_LETTERS).fetch_one(connection).await?;
    Ok(StoreStatus::from_rows(accounting, dead_letters))
}
