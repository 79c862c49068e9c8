//! `djaffar dump` and `djaffar load` on both databases: against the real `manage.py dumpdata` and the
//! real django-djaffar, there and back, and beside writers.

mod bad_records;
mod beside;
mod csv;
mod database;
mod django;
mod filters;
mod load;
mod load_beside;
mod ndjson;
mod original;
mod output;
mod round_trip;
mod rows;
mod user_types;

const TABLES: [&str; 2] = ["activity", "sessioninfo"];
