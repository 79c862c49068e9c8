//! What both sides of the queue agree on.
//!
//! Ingest and writer never depend on each other; whatever they must agree on
//! lives here: the [`event::Activity`], its [`frame`] on the queue, the
//! [`queue`] port with its adapters, the [`store`] port, and how a process
//! lives ([`lifecycle`], [`readiness`], [`time`], [`chance`]). No HTTP and no SQL.

pub mod accounting;
pub mod chance;
pub mod event;
pub mod failpoint;
pub mod frame;
#[cfg(feature = "test-util")]
pub mod fuzz;
pub mod lifecycle;
mod pem;
pub mod postgres_route;
pub mod queue;
pub mod readiness;
pub mod secret;
#[cfg(feature = "test-util")]
pub mod simulated;
pub mod store;
pub mod time;
pub mod tls;
