//! ingest
pub mod intake;
