//! Who sent a log request: the verified user, the browser session, the origin.
//!
//! Three questions, each answered by a pure function of the request's headers
//! and the time. The [`Authenticator`] says which user it is, and never takes
//! the payload's word for it. [`Sessions`] says which browser session it is,
//! by a signed cookie. The [`OriginRule`] says whether the page that sent it
//! may use the cookies that came along. [`IdentityDigests`] tells the sender's
//! browser apart from whoever used it before.

pub mod authenticator;
pub mod digest;
pub mod origin;
pub mod session_cookie;

pub use authenticator::{AnonymousOnly, Authenticator, Identity, IdentityError, RequestCredentials};
pub use digest::{IdentityDigest, IdentityDigests};
pub use origin::{AllowedOrigins, InvalidOrigin, OriginRule, OriginVerdict};
pub use session_cookie::{
    InvalidSessionConfig, PresentedSession, ResolvedSession, SameSite, SessionConfig, Sessions,
};
