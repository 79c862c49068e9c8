//! What `djaffar prune`, `erase` and `export` take.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use clap::Args;
use shared::event::{ClientAddress, SessionId, UserId};
use writer::subject::Subject;

use super::{StoreArguments, session, user};
use crate::failure::Failure;
use crate::settings::duration::Span;
use crate::settings::instant::instant;

#[derive(Args, Clone, Debug)]
pub(crate) struct PruneArguments {
    #[command(flatten)]
    pub(crate) limit: LimitArguments,
    /// Count what would go, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct LimitArguments {
    /// Delete what happened before this day (UTC) or instant
    #[arg(long, value_name = "DATE", value_parser = instant)]
    before: Option<DateTime<Utc>>,
    /// Delete what happened longer ago than this, such as 90days
    #[arg(long, value_name = "TIME")]
    older_than: Option<Span>,
}

impl LimitArguments {
    pub(crate) fn instant(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
        match (self.before, self.older_than) {
            (Some(before), _) if before > now => Err(Failure::misconfigured(format!(
                "--before: {} lies in the future, and so would delete everything; name an earlier date",
                before.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            ))),
            (Some(before), _) => Ok(before),
            (None, Some(span)) => Ok(writer::prune::limit(now, span.0)),
            (None, None) => Err(Failure::misconfigured("--before or --older-than is needed")),
        }
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct EraseArguments {
    #[command(flatten)]
    pub(crate) whose: WhoseArguments,
    /// Keep the activities, without user, session and address
    #[arg(long)]
    pub(crate) anonymise: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    pub(crate) whose: WhoseArguments,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct WhoseArguments {
    /// The user's id, as `djaffar dump` shows it
    #[arg(long, value_name = "ID", value_parser = user)]
    user: Option<UserId>,
    /// The key of a session
    #[arg(long, value_name = "KEY", value_parser = session)]
    session: Option<SessionId>,
    /// An IP address, as it is stored: with --ip-privacy truncate, that of a network
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    ip: Option<ClientAddress>,
}

impl WhoseArguments {
    pub(crate) fn subject(&self) -> Result<Subject, Failure> {
        let user = self.user.clone().map(Subject::User);
        let session = || self.session.clone().map(Subject::Session);
        let subject = user.or_else(session).or_else(|| self.ip.map(Subject::Ip));
        subject.ok_or_else(|| Failure::misconfigured("--user, --session or --ip is needed"))
    }
}

fn address(text: &str) -> Result<ClientAddress, String> {
    let address = text.parse::<IpAddr>().map(ClientAddress::new);
    address.map_err(|_| "an address is such as 192.0.2.7 or 2001:db8::7".to_owned())
}
