//! What both sides of the queue agree on.
//!
//! Ingest and writer never depend on each other; whatever they must agree on
//! lives here: the [`event::Activity`], its [`frame`] on the queue, the
//! [`queue`] port with its adapters, the [`store`] port, and how a process
//! lives ([`lifecycle`], [`readiness`], [`time`]). No HTTP and no SQL.

pub mod accounting;
pub mod event;
pub mod frame;
pub mod lifecycle;
pub mod queue;
pub mod readiness;
pub mod secret;
pub mod store;
pub mod time;
