//! The concrete queues and databases, behind one enum each. The only place that names them.

mod database;

pub(crate) use database::Database;
