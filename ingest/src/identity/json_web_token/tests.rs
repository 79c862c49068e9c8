//! Keys and tokens are made here by ring; those of the real PyJWT and simplejwt are in `golden`.

mod attacks;
mod claims;
mod fuzz;
mod golden;
mod issuer;
mod jwks_server;
mod key_sets;
mod properties;
mod settings;
mod simplejwt;
