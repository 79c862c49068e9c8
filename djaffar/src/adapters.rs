//! The concrete queues and databases, behind one enum each. The only place that names them.

mod database;
mod queue;

pub(crate) use database::{AnyStore, Database};
pub(crate) use queue::AnyQueue;
