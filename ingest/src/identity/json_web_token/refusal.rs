//! Why a token is refused, and in which words.

/// Never says more than its holder may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token in form or content, an algorithm that is not configured, or no key's signature.
    Malformed,
    Signature,
    Expired,
    NotYet,
    NoExpiry,
    Issuer,
    Audience,
    /// A claim that must be there is not, or holds something else.
    Claim,
    User,
    /// The site knows no such user.
    UserUnknown,
    UserInactive,
    PasswordChanged,
}

impl Refusal {
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::Malformed | Self::Signature | Self::NoExpiry | Self::Claim => "Invalid token.",
            Self::Expired => "Token has expired.",
            Self::NotYet => "Token is not yet valid.",
            Self::Issuer => "Token is from another issuer.",
            Self::Audience => "Token is for another audience.",
            Self::User => "Token names no user.",
            Self::UserUnknown | Self::UserInactive => "User inactive or deleted.",
            Self::PasswordChanged => "The user's password has been changed.",
        }
    }

    /// As djangorestframework-simplejwt says it.
    pub(super) fn simplejwt_detail(self) -> &'static str {
        match self {
            Self::User => "Token contained no recognizable user identification",
            Self::UserUnknown => "User not found",
            Self::UserInactive => "User is inactive",
            Self::PasswordChanged => "The user's password has been changed.",
            _ => "Given token not valid for any token type",
        }
    }
}
