//! The preset, with tokens of the real simplejwt and users in a table like Django's.

use std::sync::Arc;

use shared::secret::Secret;

use super::golden::golden;
use super::issuer::{at, config, now, patient, user};
use crate::identity::accounts::Accounts;
use crate::identity::authorization::TokenVerdict;
use crate::identity::json_web_token::{JsonWebTokens, JwtConfig, JwtPreset};
use crate::identity::{AccountsConfig, IdentityDatabase};

const INVALID: TokenVerdict = TokenVerdict::Refused("Given token not valid for any token type");
const NO_USER: TokenVerdict = TokenVerdict::Refused("Token contained no recognizable user identification");

fn preset() -> JwtConfig {
    let preset = JwtPreset::SimpleJwt;
    let user_claim = preset.user_claim().to_owned();
    JwtConfig { preset: Some(preset), user_claim, ..config(&preset.algorithms(), &golden().secret) }
}

#[tokio::test]
async fn access_tokens_of_simplejwt_name_their_user() {
    let (tokens, golden) = (JsonWebTokens::new(preset(), None, &patient()), golden().simplejwt);
    for (token, expected) in [
        (&golden.access, user("7")),
        (&golden.access_of_a_number, user("7")),
        (&golden.access_with_password, user("7")),
        (&golden.access_of_nobody, NO_USER),
        (&golden.refresh, INVALID),
    ] {
        assert_eq!(tokens.verify(token, now()).await, Ok(expected));
    }
    assert_eq!(tokens.verify(&golden.access, at(310)).await, Ok(INVALID));
    let (start, _) = golden.access.rsplit_once('.').expect("a signature");
    assert_eq!(tokens.verify(start, now()).await, Ok(INVALID));
}

/// What becomes of the token of user 7 when the table of users holds these rows.
async fn verdict(rows: &str, token: &str) -> TokenVerdict {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("site.sqlite3");
    std::fs::File::create(&path).expect("a file");
    let url = Secret::new(format!("sqlite:{}", path.display()));
    let database = IdentityDatabase::new(&url).expect("a URL");
    let table = "create table auth_user (id integer primary key, password varchar(128), is_active bool)";
    for sql in [table, &format!("insert into auth_user values {rows}")] {
        database.rows(sql, &[]).await.expect("a change");
    }
    let table = "auth_user".parse().expect("a name");
    let accounts = Accounts::new(AccountsConfig { database, table, key: "id".to_owned() });
    let tokens = JsonWebTokens::new(preset(), Some(Arc::new(accounts)), &patient());
    tokens.probe().await.expect("a table of users");
    tokens.verify(token, now()).await.expect("an answer")
}

#[tokio::test]
async fn the_user_must_be_there_and_active() {
    let golden = golden();
    let token = &golden.simplejwt.access;
    assert_eq!(verdict("(7, '', true)", token).await, user("7"));
    assert_eq!(verdict("(7, '', false)", token).await, TokenVerdict::Refused("User is inactive"));
    assert_eq!(verdict("(8, '', true)", token).await, TokenVerdict::Refused("User not found"));
    assert_eq!(verdict("(7, '', true)", &golden.simplejwt.access_of_a_number).await, user("7"));
}

#[tokio::test]
async fn a_token_that_knows_the_password_ends_with_it() {
    let golden = golden();
    let token = &golden.simplejwt.access_with_password;
    let same = format!("(7, '{}', true)", golden.password);
    assert_eq!(verdict(&same, token).await, user("7"));
    let changed = TokenVerdict::Refused("The user's password has been changed.");
    assert_eq!(verdict("(7, 'another', true)", token).await, changed);
}

#[tokio::test]
async fn users_that_cannot_be_looked_up_are_neither_known_nor_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = Secret::new(format!("sqlite:{}/none.sqlite3", directory.path().display()));
    let database = IdentityDatabase::new(&url).expect("a URL");
    let table = "auth_user".parse().expect("a name");
    let accounts = Accounts::new(AccountsConfig { database, table, key: "id".to_owned() });
    let tokens = JsonWebTokens::new(preset(), Some(Arc::new(accounts)), &patient());
    assert!(tokens.verify(&golden().simplejwt.access, now()).await.is_err());
    assert!(tokens.probe().await.is_err());
}
