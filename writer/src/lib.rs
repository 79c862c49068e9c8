//! Queue in, rows out.
//!
//! The files are named after what happens to a frame: [`consume`] pulls and
//! decodes it, [`batch`] (pure) and `gather` put it together with others,
//! [`flush`] stores the batch with the decisions of `retry` and [`isolate`]
//! (pure), [`settle`] acks it. What is stored and how is [`store`]'s;
//! [`suppression`] (pure) says what of it is not. Beside it: [`export`], [`held`], [`dead_letters`]
//! read, [`prune`] and [`erase`] delete.

mod batch;
mod config;
mod consume;
mod copy_format;
pub mod dead_letters;
pub mod erase;
pub mod export;
mod flush;
mod gather;
mod health;
pub mod held;
mod isolate;
pub mod load;
pub mod prune;
mod retry;
mod run;
mod sessions;
mod settle;
mod stop;
pub mod store;
pub mod subject;
pub mod suppression;
mod telemetry;

pub use config::{StopMode, WriterConfig};
pub use run::run;
pub use telemetry::{FrameCounts, RetryCounts, WriterSnapshot, WriterTelemetry};

#[cfg(test)]
mod tests;
