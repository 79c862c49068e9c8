//! Queue in, rows out.
//!
//! The files are named after what happens to a frame: [`consume`] pulls and
//! decodes it, [`batch`] (pure) and `gather` put it together with others,
//! [`flush`] stores the batch with the decisions of `retry` and [`isolate`]
//! (pure), [`settle`] acks it. What is stored and how is [`store`]'s.

mod batch;
mod config;
mod consume;
pub mod export;
mod flush;
mod gather;
mod health;
mod isolate;
mod retry;
mod run;
mod sessions;
mod settle;
mod stop;
pub mod store;
mod telemetry;

pub use config::{StopMode, WriterConfig};
pub use run::run;
pub use telemetry::{FrameCounts, RetryCounts, WriterSnapshot, WriterTelemetry};

#[cfg(test)]
mod tests;
