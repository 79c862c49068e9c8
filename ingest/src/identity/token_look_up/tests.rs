use proptest::prelude::*;
use shared::secret::Secret;

use super::*;
use crate::identity::AccountsConfig;

const KEY: &str = "0123456789abcdef0123456789abcdef01234567";

struct Site {
    _directory: tempfile::TempDir,
    database: IdentityDatabase,
}

impl Site {
    /// Users 7 and, no longer active, 8, with a token each.
    async fn new(tables: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("site.sqlite3");
        std::fs::File::create(&path).expect("a file");
        let url = Secret::new(format!("sqlite:{}", path.display()));
        let database = IdentityDatabase::new(&url).expect("a URL");
        let users = [
            "create table auth_user (id integer primary key, password varchar(128), is_active bool)",
            "insert into auth_user values (7, '', true), (8, '', false)",
        ];
        for sql in users.iter().chain(tables) {
            database.rows(sql, &[]).await.expect("a change");
        }
        Self { _directory: directory, database }
    }

    fn look_up(&self, source: TokenSource) -> TokenLookUp {
        let accounts = AccountsConfig {
            database: self.database.clone(),
            table: table("auth_user"),
            key: "id".to_owned(),
        };
        let accounts = source.is_preset().then(|| Arc::new(Accounts::new(accounts)));
        TokenLookUp::new(source, self.database.clone(), accounts, &LookUpConfig::default())
    }
}

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a date")
}

fn user(id: &str) -> TokenVerdict {
    TokenVerdict::Verified(UserId::new(id).ok())
}

async fn drf() -> Site {
    Site::new(&[
        "create table authtoken_token (key varchar(40) primary key, created datetime, user_id integer)",
        "insert into authtoken_token values ('0123456789abcdef0123456789abcdef01234567', '', 7), ('of-8', '', 8)",
    ])
    .await
}

#[tokio::test]
async fn a_token_of_rest_framework_names_an_active_user() {
    let site = drf().await;
    let look_up = site.look_up(TokenSource::DjangoRestFramework);
    for (token, verdict) in
        [(KEY, user("7")), ("of-8", INACTIVE), ("of-9", INVALID), ("' or 1=1 --", INVALID)]
    {
        assert_eq!(look_up.verify(token, noon()).await, Ok(verdict), "{token}");
    }
}

#[tokio::test]
async fn a_bit_flipped_in_a_token_names_nobody() {
    let site = drf().await;
    let look_up = site.look_up(TokenSource::DjangoRestFramework);
    for place in 0..KEY.len() {
        for bit in 0..7 {
            let mut token = KEY.as_bytes().to_vec();
            token[place] ^= 1 << bit;
            let token = String::from_utf8(token).expect("ASCII");
            assert_eq!(look_up.verify(&token, noon()).await, Ok(INVALID), "byte {place}, bit {bit}");
        }
    }
}

#[tokio::test]
async fn a_token_of_the_oauth_toolkit_ends_in_time() {
    let checksum = HEXLOWER.encode(&Sha256::digest("abc"));
    for (column, key) in [("", ""), (", token_checksum char(64)", checksum.as_str())] {
        let value = if key.is_empty() { String::new() } else { format!(", '{key}'") };
        let site = Site::new(&[
            &format!("create table oauth2_provider_accesstoken (token text, expires datetime, user_id bigint{column})"),
            &format!("insert into oauth2_provider_accesstoken values ('abc', '2027-01-15 08:00:01.5', 7{value})"),
        ])
        .await;
        let look_up = site.look_up(TokenSource::OauthToolkit);
        assert_eq!(look_up.verify("abc", noon()).await, Ok(user("7")));
        // Remembered, and yet at an end.
        assert_eq!(look_up.verify("abc", noon() + chrono::TimeDelta::seconds(2)).await, Ok(INVALID));
        assert_eq!(look_up.verify("abd", noon()).await, Ok(INVALID));
        let application = "update oauth2_provider_accesstoken set user_id = null";
        site.database.rows(application, &[]).await.expect("a change");
        let look_up = site.look_up(TokenSource::OauthToolkit);
        assert_eq!(look_up.verify("abc", noon()).await, Ok(TokenVerdict::Verified(None)));
    }
}

#[tokio::test]
async fn a_query_of_ones_own_names_one_user() {
    let site = Site::new(&[
        "create table api_key (token text, who text)",
        "insert into api_key values ('a', 'anna'), ('b', 'ben'), ('b', 'bea'), ('c', null), ('d', '')",
    ])
    .await;
    let sql = "SELECT who FROM api_key WHERE token = $1".to_owned();
    let look_up = site.look_up(TokenSource::Query { sql, scheme: "Key".to_owned() });
    assert_eq!(look_up.verify("a", noon()).await, Ok(user("anna")));
    assert_eq!(look_up.verify("c", noon()).await, Ok(TokenVerdict::Verified(None)));
    assert_eq!(look_up.verify("e", noon()).await, Ok(INVALID));
    assert!(look_up.verify("b", noon()).await.is_err(), "two users");
    assert!(look_up.verify("d", noon()).await.is_err(), "no user id");
    let broken = TokenSource::Query { sql: "SELECT".to_owned(), scheme: "Key".to_owned() };
    assert!(site.look_up(broken).probe().await.is_err());
}

#[tokio::test]
async fn without_the_table_nobody_can_be_asked() {
    let site = Site::new(&[]).await;
    for source in [TokenSource::DjangoRestFramework, TokenSource::OauthToolkit] {
        let look_up = site.look_up(source);
        assert!(look_up.verify("abc", noon()).await.is_err());
        assert!(look_up.probe().await.expect_err("no table").0.contains("has no table"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn no_text_is_a_token(tokens in prop::collection::vec("[!-~]{1,80}", 50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let site = drf().await;
            let look_up = site.look_up(TokenSource::DjangoRestFramework);
            for token in &tokens {
                assert_eq!(look_up.verify(token, noon()).await, Ok(INVALID), "{token}");
            }
        });
    }
}
