//! Where a process tells how it is.

use std::net::SocketAddr;

use clap::Args;

/// One default per process, so that an ingest and a writer live on one machine.
pub(crate) const DEFAULT: &str = "127.0.0.1:8081";
pub(crate) const WRITER_DEFAULT: &str = "127.0.0.1:8082";

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Admin")]
pub(crate) struct AdminSettings {
    /// Address of /livez, /readyz, /metrics and /status; keep it out of the public's reach
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT, value_parser = super::http::address)]
    pub(crate) admin_listen: SocketAddr,
    /// Longest time to finish what is begun after SIGTERM or Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) stop_timeout: super::duration::Span,
}
