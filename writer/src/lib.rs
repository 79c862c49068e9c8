//! Queue in, rows out.

pub mod store;
