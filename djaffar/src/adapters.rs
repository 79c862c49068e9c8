//! The concrete queues and databases, behind one enum each. The only place that names them.

mod database;
mod dead_letter_cap;
mod queue;
mod replay_queue;
mod spool;

pub(crate) use database::{AnyStore, Database};
pub(crate) use dead_letter_cap::CappedStore;
pub(crate) use queue::AnyQueue;
pub(crate) use replay_queue::ReplayQueue;
pub(crate) use spool::{Spool, counted};
