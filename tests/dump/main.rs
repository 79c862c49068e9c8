//! `djaffar dump` on both databases: against the real `manage.py dumpdata`, and beside a writer.

mod beside;
mod database;
mod django;
mod ndjson;
mod rows;

const TABLES: [&str; 2] = ["activity", "sessioninfo"];
