//! The months of rows that are older than those that the writer keeps ready.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use shared::store::{StoreError, StoreErrorKind};

use super::{PostgresStore, partitions};
use crate::store::month::Month;

/// Rounds of waiting for a long transaction, some 3 s each.
const ROUNDS: usize = 10;

/// Months that one load knows to exist.
#[derive(Debug, Default)]
pub struct MadeMonths(BTreeSet<Month>);

impl PostgresStore {
    /// Makes the months of these dates, from 1970 to that of `now`; whatever else there is belongs
    /// into the default partition.
    ///
    /// # Errors
    /// The database fails, or a long transaction keeps a month from being made.
    pub async fn make_months(
        &mut self,
        dates: impl Iterator<Item = DateTime<Utc>> + Send,
        made: &mut MadeMonths,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let wanted = Month::of(DateTime::UNIX_EPOCH)..=Month::of(now);
        let months: BTreeSet<Month> = dates.map(Month::of).filter(|month| wanted.contains(month)).collect();
        let missing: Vec<Month> = months.difference(&made.0).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut kept_away = None;
        for _ in 0..ROUNDS {
            let mut session = self.session().await?;
            kept_away =
                partitions::make_all(&mut session.connection, missing.iter().copied(), self.attempt_timeout)
                    .await?;
            self.session = Some(session);
            if kept_away.is_none() {
                break;
            }
        }
        match kept_away {
            None => {
                made.0.extend(missing);
                Ok(())
            }
            Some(month) => Err(StoreError {
                kind: StoreErrorKind::Transient,
                sqlstate: None,
                reason: format!(
                    "a long transaction, such as a dump, keeps {} from being made; let it end and load again",
                    month.partition()
                ),
            }),
        }
    }
}
