//! The adapters of the store port, and what `status` reads from them.

pub mod sqlite;
pub mod status;
