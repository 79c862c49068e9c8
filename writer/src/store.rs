//! Rows: the adapters of [`shared::store::Store`], and what `status` reads from them.
//!
//! All of them pass one suite, `contract`; the tests also have a store in memory.

#[cfg(any(test, feature = "test-util"))]
pub mod contract;
#[cfg(any(test, feature = "test-util"))]
pub mod memory;
mod month;
pub mod postgres;
pub mod sqlite;
pub mod status;
