//! HTTP in, queue out.

pub mod http;
pub mod identity;
pub mod intake;
