//! Which rows are read, as SQL that the indexes serve: the primary key for dates, and those of
//! user and session. Held by `tests/dump/filters.rs`, which asks the planners.

use std::borrow::Cow;
use std::fmt::Display;

use chrono::{DateTime, Utc};
use shared::event::{ClientAddress, SessionId, UserId};

use super::ActivityOrder;
use crate::subject::Subject;

const ACTIVITIES: &str =
    "SELECT id, date, received_at, session_id, user_id, ip_address, path, referer FROM activity";
pub(super) const ACTIVITY_COLUMNS: usize = 8;
const SESSION_INFOS: &str = "SELECT session_id, user_agent, first_seen FROM session_info";
pub(super) const SESSION_INFO_COLUMNS: usize = 3;

/// Only rows for which all of it holds; the default lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// Dated then or later.
    pub since: Option<DateTime<Utc>>,
    /// Dated before.
    pub until: Option<DateTime<Utc>>,
    pub user: Option<UserId>,
    pub session: Option<SessionId>,
    /// As it is stored; no index serves it.
    pub address: Option<ClientAddress>,
}

/// A condition on a column of `activity`.
pub(super) struct Condition<'filter> {
    column_and_operator: &'static str,
    pub(super) value: Operand<'filter>,
}

pub(super) enum Operand<'filter> {
    Date(DateTime<Utc>),
    Text(Cow<'filter, str>),
}

impl ExportFilter {
    pub(super) fn conditions(&self) -> Vec<Condition<'_>> {
        let date = |column_and_operator, date: Option<DateTime<Utc>>| {
            date.map(|date| Condition { column_and_operator, value: Operand::Date(date) })
        };
        let text = |column_and_operator, text| Condition { column_and_operator, value: Operand::Text(text) };
        [
            date("date >=", self.since),
            date("date <", self.until),
            self.user.as_ref().map(|user| text("user_id =", user.as_str().into())),
            self.session.as_ref().map(|session| text("session_id =", session.as_str().into())),
            self.address.map(|address| text("ip_address =", address.to_string().into())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// `operand` is how the database is given a value.
    pub(super) fn activities_query<O: Display>(
        &self,
        order: ActivityOrder,
        operand: impl FnMut(&Operand<'_>) -> O,
    ) -> String {
        let order = match order {
            ActivityOrder::Id => "id, date",
            ActivityOrder::Date => "date, id",
        };
        format!("{ACTIVITIES}{} ORDER BY {order}", clause(&self.conditions(), operand))
    }

    /// In the order of the database, as Django's fixtures: in Postgres it depends on the collation of the column.
    pub(super) fn session_infos_query<O: Display>(&self, operand: impl FnMut(&Operand<'_>) -> O) -> String {
        let clause = clause(&self.conditions(), operand);
        let clause = if self.concerns_sessions_alone() {
            clause
        } else {
            format!(" WHERE session_id IN (SELECT session_id FROM activity{clause})")
        };
        format!("{SESSION_INFOS}{clause} ORDER BY session_id")
    }

    /// Whether a session info can be judged by its own id.
    fn concerns_sessions_alone(&self) -> bool {
        self.since.is_none() && self.until.is_none() && self.user.is_none() && self.address.is_none()
    }
}

impl From<&Subject> for ExportFilter {
    /// Everything of that person.
    fn from(subject: &Subject) -> Self {
        match subject {
            Subject::User(user) => Self { user: Some(user.clone()), ..Self::default() },
            Subject::Session(session) => Self { session: Some(session.clone()), ..Self::default() },
            Subject::Ip(address) => Self { address: Some(*address), ..Self::default() },
        }
    }
}

/// ` WHERE a AND b`, or nothing.
fn clause<O: Display>(conditions: &[Condition<'_>], mut operand: impl FnMut(&Operand<'_>) -> O) -> String {
    let terms = conditions
        .iter()
        .map(|condition| format!("{} {}", condition.column_and_operator, operand(&condition.value)))
        .collect::<Vec<_>>();
    if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) }
}
