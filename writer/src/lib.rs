//! Queue in, rows out.

pub mod export;
pub mod store;
