//! What `djaffar status` reads from a store, each adapter on a connection of its own.

use serde::Serialize;
use shared::accounting::Accounting;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// Writer id and totals, ordered by id.
    pub accounting: Vec<(String, Accounting)>,
    pub dead_letters: DeadLetterTotals,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeadLetterTotals {
    pub count: u64,
    /// Of the kept originals.
    pub bytes: u64,
}
