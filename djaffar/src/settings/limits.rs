//! Bounds of what ingest holds at once.

use std::num::NonZeroUsize;

use clap::Args;

use ingest::rate_limit::{InvalidRate, RateLimit};

use super::duration::Span;
use super::size::Size;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitSettings {
    /// Request bodies and waiting activities together, in memory; beyond it 503
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = intake_bytes)]
    pub(crate) intake_bytes_max: Size,
    /// Longest referer, in characters
    #[arg(long, value_name = "CHARACTERS", default_value = "2048", value_parser = referer_max)]
    pub(crate) referer_max: usize,
    /// Frames that may wait for the queue's answer at once, 1 to 8: more pays when acks are slow
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = frames)]
    pub(crate) frames_in_flight: NonZeroUsize,
    /// Open connections of the public listener
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = count)]
    pub(crate) connections_max: usize,
    /// Open connections of one peer address; trusted proxies are exempt
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = count)]
    pub(crate) connections_per_peer_max: usize,
    /// Longest time for a request's headers to arrive
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) header_timeout: Span,
    /// Longest time for a request's body to arrive
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) body_timeout: Span,
    /// Longest time that a connection may stay open without a request
    #[arg(long, value_name = "TIME", default_value = "75s")]
    pub(crate) idle_timeout: Span,
    /// Longest time for a client to read what is sent to it
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) write_timeout: Span,
    /// Activities of one client address (IPv6: one /64), such as 600/min or 600/min,burst=1200; beyond it 429
    #[arg(long, value_name = "RATE", default_value = "off", value_parser = rate)]
    pub(crate) rate_limit_per_ip: Rate,
    /// Activities of one verified session; beyond it 429
    #[arg(long, value_name = "RATE", default_value = "off", value_parser = rate)]
    pub(crate) rate_limit_per_session: Rate,
}

/// `None` for `off`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(pub(crate) Option<RateLimit>);

fn rate(text: &str) -> Result<Rate, InvalidRate> {
    if text == "off" { Ok(Rate(None)) } else { text.parse().map(|limit| Rate(Some(limit))) }
}

fn intake_bytes(text: &str) -> Result<Size, String> {
    let size: Size = text.parse()?;
    if size.0 < 1 << 20 { Err("must be at least 1MiB".to_owned()) } else { Ok(size) }
}

fn frames(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(frames) if frames.get() <= 8 => Ok(frames),
        _ => Err("must be a number from 1 to 8".to_owned()),
    }
}

pub(crate) fn referer_max(text: &str) -> Result<usize, String> {
    let most = shared::event::REFERER_CHARACTERS_MAX;
    match text.parse() {
        Ok(characters) if (1..=most).contains(&characters) => Ok(characters),
        _ => Err(format!("must be a number from 1 to {most}")),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=1_000_000).contains(&count) => Ok(count),
        _ => Err("must be a number from 1 to 1000000".to_owned()),
    }
}
