//! The concrete queues and databases, behind one enum each. The only place that names them.

mod database;
mod dead_letter_cap;
mod queue;

pub(crate) use database::Database;
pub(crate) use dead_letter_cap::CappedStore;
pub(crate) use queue::AnyQueue;
