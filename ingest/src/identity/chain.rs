//! Who is asked, in which order, and what their answers make together.
//!
//! Rule of safety: every authenticator whose credential is there is asked, and
//! one that refuses ends the request, even beside others that agree: a token
//! that does not verify is never covered by a session. Of several users the
//! first counts: Django's session, the site's word, tokens, the proxy's header.

use std::sync::Arc;

use super::accounts::Accounts;
use super::authenticator::{Authenticator, BegunSession, Identity, IdentityError, RequestCredentials};
use super::authorization::{Authorization, TokenVerifier};
use super::config::{IdentityConfig, TokenConfig};
use super::django_session::DjangoSessions;
use super::forwarded_user::ForwardedUser;
use super::json_web_token::JsonWebTokens;
use super::look_up::Unreachable;
use super::origin::OriginRule;
use super::session_cookie::SessionConfig;
use super::site::{ForTheSite, Site};
use super::token_look_up::TokenLookUp;

/// The authenticators that are configured.
#[derive(Default)]
pub struct Chain {
    django: Option<DjangoSessions>,
    site: Option<Site>,
    authorization: Authorization,
    forwarded_user: Option<ForwardedUser>,
}

/// What `djaffar check` tells of one authenticator.
#[derive(Debug)]
pub struct Finding {
    pub authenticator: String,
    /// What it could reach, or why it could not.
    pub reached: Result<String, Unreachable>,
}

impl Chain {
    /// From a configuration that [`IdentityConfig::check`] has found sound; within a runtime.
    #[must_use]
    pub fn new(config: &IdentityConfig, origins: &OriginRule, cookie: &SessionConfig) -> Self {
        let accounts = config.accounts.clone().map(|accounts| Arc::new(Accounts::new(accounts)));
        let django = config.django.as_ref().zip(accounts.clone());
        let look_up = |token: &TokenConfig| {
            let accounts = accounts.clone().filter(|_| token.source.is_preset());
            let look_up =
                TokenLookUp::new(token.source.clone(), token.database.clone(), accounts, &config.look_up);
            TokenVerifier::LookUp(Box::new(look_up))
        };
        // First, because most of their refusals cost no look-up.
        let json_web_tokens = config.json_web_tokens.iter().map(|jwt| {
            TokenVerifier::Jwt(Box::new(JsonWebTokens::new(jwt.clone(), accounts.clone(), &config.look_up)))
        });
        Self {
            django: django.map(|(django, accounts)| {
                DjangoSessions::new(django, accounts, origins.clone(), cookie, &config.look_up)
            }),
            site: config.site.as_ref().map(|site| Site::new(site, &cookie.cookie_name, &config.look_up)),
            authorization: Authorization::new(
                json_web_tokens.chain(config.tokens.iter().map(look_up)).collect(),
            ),
            forwarded_user: config.forwarded_user_header.clone().and_then(ForwardedUser::new),
        }
    }

    /// Asks each authenticator whether it can reach what it needs.
    pub async fn probe(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(django) = &self.django {
            findings.push(Finding { authenticator: django.describe(), reached: django.probe().await });
        }
        if let Some(site) = &self.site {
            findings.push(Finding { authenticator: site.describe(), reached: site.probe().await });
        }
        for verifier in self.authorization.verifiers() {
            findings.push(Finding { authenticator: verifier.describe(), reached: verifier.probe().await });
        }
        if let Some(forwarded_user) = &self.forwarded_user {
            findings.push(Finding {
                authenticator: format!("the header `{}` of trusted proxies", forwarded_user.header()),
                reached: Ok("the proxy must overwrite what a client sends under that name".to_owned()),
            });
        }
        findings
    }
}

impl Authenticator for Chain {
    async fn authenticate(&self, request: &RequestCredentials<'_>) -> Result<Identity, IdentityError> {
        let mut identity = match &self.django {
            Some(django) => django.authenticate(request).await?,
            None => Identity::ANONYMOUS,
        };
        if let Some(site) = &self.site {
            let claimed = self.authorization.claims(request.headers);
            let authorization = if claimed { ForTheSite::No } else { ForTheSite::Yes };
            identity = identity.or(site.authenticate(request, authorization).await?);
        }
        identity = identity.or(self.authorization.authenticate(request.headers, request.now).await?);
        if let Some(forwarded_user) = &self.forwarded_user {
            identity = identity.or(forwarded_user.authenticate(request)?);
        }
        Ok(identity)
    }

    async fn begin_session(
        &self,
        request: &RequestCredentials<'_>,
    ) -> Result<Option<BegunSession>, IdentityError> {
        match &self.django {
            Some(django) => django.begin(request).await,
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use shared::event::UserId;
    use shared::secret::Secret;

    use super::super::LookUpConfig;
    use super::super::authenticator::PeerTrust;

    use super::super::database::IdentityDatabase;
    use super::super::token_look_up::TokenSource;
    use super::*;
    use crate::identity::tests::{cookie, credentials};

    const USER: HeaderName = HeaderName::from_static("x-forwarded-user");

    /// Tokens `a` of user 1 and, in another scheme, `a` of user 2; a proxy that names users.
    fn chain(directory: &tempfile::TempDir) -> Chain {
        let path = directory.path().join("site.sqlite3");
        std::fs::File::create(&path).expect("a file");
        let url = Secret::new(format!("sqlite:{}", path.display()));
        let database = IdentityDatabase::new(&url).expect("a URL");
        let tokens = [("Bearer", "1"), ("Key", "2")].map(|(scheme, user)| TokenConfig {
            source: TokenSource::Query {
                sql: format!("select '{user}' where $1 = 'a'"),
                scheme: scheme.to_owned(),
            },
            database: database.clone(),
        });
        let config = IdentityConfig {
            tokens: tokens.into(),
            forwarded_user_header: Some(USER),
            look_up: LookUpConfig::default(),
            ..IdentityConfig::default()
        };
        Chain::new(&config, &OriginRule::default(), &cookie())
    }

    fn user(id: &str) -> Result<Identity, &'static str> {
        Ok(Identity::of_user(UserId::new(id).ok()))
    }

    #[tokio::test]
    async fn every_claimed_credential_must_hold() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let chain = chain(&directory);
        for (authorization, forwarded, expected) in [
            (None, None, Ok(Identity::ANONYMOUS)),
            (Some("Basic a"), None, Ok(Identity::ANONYMOUS)),
            (Some("Bearer a"), None, user("1")),
            (Some("bEARER a"), None, user("1")),
            (Some("Key a"), None, user("2")),
            (Some("Key a"), Some("3"), user("2")),
            (None, Some("3"), user("3")),
            (Some("Bearer b"), Some("3"), Err("Bearer realm=\"api\", error=\"invalid_token\"")),
            (Some("Key b"), None, Err("Key")),
            (Some("Bearer"), None, Err("Bearer realm=\"api\", error=\"invalid_token\"")),
            (Some("Bearer a b"), None, Err("Bearer realm=\"api\", error=\"invalid_token\"")),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(AUTHORIZATION, authorization), (USER, forwarded)] {
                headers.extend(value.map(|value| (name, HeaderValue::from_static(value))));
            }
            let request = RequestCredentials { peer: PeerTrust::Trusted, ..credentials(&headers) };
            let answer = chain.authenticate(&request).await.map_err(|error| match error {
                IdentityError::Failed { challenge, .. } => challenge.to_str().expect("ASCII").to_owned(),
                other => panic!("{other:?}"),
            });
            assert_eq!(answer, expected.map_err(str::to_owned), "{authorization:?} {forwarded:?}");
        }
    }

    #[tokio::test]
    async fn two_authorization_headers_are_none() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let chain = chain(&directory);
        let mut headers = HeaderMap::new();
        for value in ["Bearer a", "Basic b"] {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        let answer = chain.authenticate(&credentials(&headers)).await;
        assert!(matches!(answer, Err(IdentityError::Failed { .. })), "{answer:?}");
    }

    #[tokio::test]
    async fn each_authenticator_tells_what_it_can_reach() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let chain = chain(&directory);
        assert!(chain.probe().await.iter().all(|finding| finding.reached.is_ok()));
        std::fs::remove_file(directory.path().join("site.sqlite3")).expect("a file");
        let chain = self::chain(&directory);
        std::fs::remove_file(directory.path().join("site.sqlite3")).expect("a file");
        let reached = chain.probe().await.into_iter().map(|finding| finding.reached.is_ok());
        assert_eq!(reached.collect::<Vec<_>>(), [false, false, true]);
    }
}
