//! A person as the rows know them: by user id, by session or by address.

use shared::event::{Activity, ClientAddress, SessionId, UserId};

/// Whose activities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    User(UserId),
    Session(SessionId),
    /// As it is stored: a truncated address is that of a network.
    Ip(ClientAddress),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    User,
    Session,
    Ip,
}

impl SubjectKind {
    pub(crate) const ALL: [Self; 3] = [Self::User, Self::Session, Self::Ip];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Ip => "ip",
        }
    }

    /// Of `activity` and of `dead_letter`'s bytes.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Session => "session_id",
            Self::Ip => "ip_address",
        }
    }

    /// What an activity holds of this kind, as text.
    pub(crate) fn of(self, activity: &Activity) -> Option<String> {
        match self {
            Self::User => activity.user_id.as_ref().map(|id| id.as_str().to_owned()),
            Self::Session => activity.session_id.as_ref().map(|id| id.as_str().to_owned()),
            Self::Ip => activity.ip_address.map(|address| address.to_string()),
        }
    }
}

impl Subject {
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::User(_) => SubjectKind::User,
            Self::Session(_) => SubjectKind::Session,
            Self::Ip(_) => SubjectKind::Ip,
        }
    }

    /// As the column holds it.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::User(id) => id.as_str().to_owned(),
            Self::Session(id) => id.as_str().to_owned(),
            Self::Ip(address) => address.to_string(),
        }
    }

    #[must_use]
    pub fn owns(&self, activity: &Activity) -> bool {
        self.kind().of(activity).is_some_and(|value| value == self.value())
    }
}
