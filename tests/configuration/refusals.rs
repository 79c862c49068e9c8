//! Each sentence names the setting and what is wrong with it.

use std::net::TcpListener;

use djaffar_tests::process::Djaffar;

use crate::Run;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAfsAamZIxWjUAsExItb2/JlfT8+X2uHoxcBgjXnrI7os=
-----END PUBLIC KEY-----";

/// Arguments, and what their sentence holds.
const FLAGS: &[(&[&str], &[&str])] = &[
    (&["serve", "--lsten", "127.0.0.1:1"], &["--lsten", "--listen"]),
    (&["sreve"], &["unknown command sreve"]),
    (&["serve", "--listen", "nowhere"], &["--listen: 'nowhere'", "127.0.0.1:8080"]),
    (&["serve", "--listen"], &["--listen", "needs a value"]),
    (&["serve", "--listen", "127.0.0.1:9", "--admin-listen", "127.0.0.1:9"], &["listen and admin-listen"]),
    (
        &["serve", "--listen", "192.0.2.1:8080"],
        &["listen: cannot listen on 192.0.2.1:8080", "name an address"],
    ),
    (&["serve", "--base-path", "djaffar"], &["--base-path"]),
    (&["serve", "--trusted-proxies", "10.0.0.0/33"], &["--trusted-proxies", "10.0.0.0/33"]),
    (&["serve", "--debug-from", "localhost"], &["--debug-from", "localhost"]),
    (&["serve", "--forwarded-header", "x-real-ip"], &["--forwarded-header", "x-forwarded-for or forwarded"]),
    (&["serve", "--allowed-origins", "*"], &["--allowed-origins", "name each origin"]),
    (&["serve", "--allowed-origins", "shop.example"], &["--allowed-origins", "https://"]),
    (&["serve", "--time-zone", "Mars/Base"], &["--time-zone", "Europe/Berlin"]),
    (&["serve", "--request-timeout", "5"], &["--request-timeout", "5s"]),
    (&["serve", "--request-timeout", "20s"], &["--stop-timeout", "--request-timeout"]),
    (&["serve", "--intake-bytes-max", "64MB"], &["--intake-bytes-max", "64MiB"]),
    (&["serve", "--intake-bytes-max", "1KiB"], &["--intake-bytes-max", "1MiB"]),
    (&["serve", "--frames-in-flight", "9"], &["--frames-in-flight", "1 to 8"]),
    (&["serve", "--referer-max", "0"], &["--referer-max", "1 to 65536"]),
    (&["serve", "--embedded-queue-max", "1KiB"], &["--embedded-queue-max"]),
    (&["serve", "--secret-key", "hunter2"], &["secret-key", "7 characters", "32"]),
    (
        &["serve", "--secret-key", KEY, "--secret-key-fallbacks", "old"],
        &["secret-key-fallbacks", "3 characters"],
    ),
    (
        &["serve", "--secret-key", KEY, "--secret-key-file", "key"],
        &["secret-key and secret-key-file", "remove"],
    ),
    (&["serve", "--queue", "embedded", "--queue-file", "q"], &["queue and queue-file", "remove"]),
    (&["serve", "--database", "sqlite:a", "--database-file", "d"], &["database and database-file", "remove"]),
    (&["serve", "--secret-key-file", "missing"], &["secret-key-file", "missing", "No such file"]),
    (&["serve", "--session-cookie-samesite", "none"], &["session-cookie-samesite", "allowed-origins"]),
    (
        &["serve", "--session-cookie-domain", "a.example", "--allowed-origins", "https://b.example"],
        &["https://b.example", "session-cookie-samesite none"],
    ),
    (
        &["serve", "--session-cookie-name", "__Host-a", "--session-cookie-domain", "a.example"],
        &["session-cookie-name", "session-cookie-domain"],
    ),
    (&["serve", "--session-age", "1s"], &["--session-age", "60s"]),
    (&["serve", "--queue", "kafka://a"], &["queue", "nats://host:4222"]),
    (&["serve", "--database", "mysql://a/b"], &["database", "postgres://"]),
    (&["serve", "--database", "postgres://a:b:c@[/d"], &["--database", "postgres://"]),
    (&["serve", "--stream-replicas", "2"], &["--stream-replicas", "1, 3 or 5"]),
    (&["serve", "--stream", "a.b"], &["--stream", "letters"]),
    (&["serve", "--data-dir", "/dev/null"], &["data-dir", "/dev/null", "name a directory"]),
    (&["serve", "--config", "missing.toml"], &["config", "missing.toml", "No such file"]),
    (&["ingest", "--secret-key", KEY], &["queue is needed by `djaffar ingest`", "nats://"]),
    (&["ingest", "--queue", "nats://127.0.0.1:1"], &["secret-key is needed by `djaffar ingest`"]),
    (&["writer", "--database", "postgres://a/b"], &["queue is needed by `djaffar writer`", "nats://"]),
    (
        &["writer", "--queue", "nats://127.0.0.1:1"],
        &["database is needed by `djaffar writer`", "postgres://"],
    ),
    (
        &["ingest", "--queue", "nats://127.0.0.1:1", "--secret-key", KEY, "--spool-max", "1KiB"],
        &["spool-max is 1KiB", "2MiB"],
    ),
    (&["spool", "drain"], &["queue is needed by `djaffar spool drain`"]),
    (&["dead-letters"], &["needs to be told what to do", "--help"]),
    (&["dead-letters", "replay"], &["ID", "is needed"]),
    (&["dead-letters", "discard", "1", "--sqlstate", "23514"], &["--sqlstate"]),
    (&["dead-letters", "discard", "--all"], &["--yes"]),
    (&["dead-letters", "list"], &["there is no database at", "--database"]),
    (&["dead-letters", "list", "--since", "yesterday"], &["--since", "2026-11-25"]),
    (
        &["serve", "--django-database", "sqlite:site.db"],
        &["django-database", "nothing asks it", "django-secret-key"],
    ),
    (
        &["serve", "--django-database", "mysql://a/b", "--token-preset", "drf"],
        &["django-database", "postgres://"],
    ),
    (&["serve", "--django-secret-key", KEY], &["django-secret-key", "without django-database"]),
    (
        &["serve", "--django-secret-key-fallbacks", KEY],
        &["django-secret-key-fallbacks", "without django-secret-key"],
    ),
    (
        &[
            "serve",
            "--django-database",
            "sqlite:site.db",
            "--django-secret-key",
            KEY,
            "--session-cookie-name",
            "sessionid",
        ],
        &["--django-session-cookie-name", "--session-cookie-name", "name ours otherwise"],
    ),
    (&["serve", "--django-user-table", "auth user"], &["--django-user-table", "auth_user"]),
    (&["serve", "--django-csrf", "off"], &["--django-csrf", "same-origin or strict"]),
    (
        &["serve", "--auth-url", "site.example/identity/"],
        &["--auth-url", "http://127.0.0.1:8000/djaffar/identity/"],
    ),
    (&["serve", "--auth-url", "http://user:password@site.example/"], &["--auth-url", "--auth-url-key"]),
    (&["serve", "--auth-url-key", KEY], &["auth-url-key", "without auth-url"]),
    (&["serve", "--auth-cookies", "sessionid"], &["auth-cookies", "without auth-url"]),
    (
        &["serve", "--auth-url", "http://site.example/", "--auth-cookies", "sessionid,djaffar_session"],
        &["--auth-cookies", "djaffar_session", "remove it"],
    ),
    (
        &["serve", "--auth-url", "http://site.example/", "--auth-connections-max", "0"],
        &["--auth-connections-max", "1 or more"],
    ),
    (
        &["serve", "--auth-url", "http://site.example/", "--auth-url-key", "a\nb"],
        &["--auth-url-key", "letters"],
    ),
    (&["serve", "--token-preset", "drf"], &["token-preset", "without django-database"]),
    (
        &["serve", "--django-database", "sqlite:site.db", "--token-preset", "drf,drf"],
        &["--token-preset", "twice"],
    ),
    (&["serve", "--token-query", "select 1"], &["token-query", "without token-database"]),
    (&["serve", "--token-database", "sqlite:a.db"], &["token-database", "without token-query"]),
    (&["serve", "--jwt-preset", "simplejwt"], &["jwt-preset", "django-secret-key", "jwt-key"]),
    (&["serve", "--jwt-algorithms", "none"], &["--jwt-algorithms", "RS256"]),
    (&["serve", "--jwt-algorithms", "RS256"], &["jwt-algorithms", "jwt-key or jwt-jwks"]),
    (&["serve", "--jwt-key", KEY], &["--jwt-algorithms", "such as `RS256`"]),
    (&["serve", "--jwt-key", "short", "--jwt-algorithms", "HS256"], &["jwt-key", "openssl rand -hex 32"]),
    (&["serve", "--jwt-key", KEY, "--jwt-algorithms", "ES256"], &["--jwt-algorithms", "no public key"]),
    (
        &["serve", "--jwt-key", PUBLIC_KEY, "--jwt-algorithms", "HS256"],
        &["--jwt-algorithms", "is a public key"],
    ),
    (&["serve", "--jwt-key", KEY, "--jwt-jwks", "keys.json"], &["jwt-key and jwt-jwks", "remove one"]),
    (
        &["serve", "--jwt-jwks", "https://issuer.example/keys", "--jwt-algorithms", "HS256,RS256"],
        &["--jwt-algorithms", "beside --jwt-jwks", "remove one"],
    ),
    (
        &["serve", "--jwt-jwks", "none.json", "--jwt-algorithms", "RS256"],
        &["--jwt-jwks", "No such file", "public keys"],
    ),
    (&["serve", "--jwt-jwks", "ftp://issuer.example/keys"], &["--jwt-jwks", "https://"]),
    (
        &["serve", "--jwt-key", KEY, "--jwt-algorithms", "HS256", "--jwt-leeway", "1h"],
        &["--jwt-leeway", "set the clocks right"],
    ),
    (&["serve", "--forwarded-user-header", "X-User"], &["--forwarded-user-header", "--trusted-proxies"]),
    (
        &["serve", "--forwarded-user-header", "Cookie", "--trusted-proxies", "127.0.0.1"],
        &["--forwarded-user-header", "another purpose"],
    ),
    (&["serve", "--identity-timeout", "2"], &["--identity-timeout", "5s"]),
    (&["serve", "--rate-limit-per-ip", "600"], &["--rate-limit-per-ip", "600/min"]),
    (&["ingest", "--rate-limit-per-session", "0/s"], &["--rate-limit-per-session", "burst=1200"]),
    (&["serve", "--write-timeout", "0s"], &["--write-timeout", "longer than nothing"]),
    (&["status", "--admin", "localhost"], &["--admin", "http://"]),
    (&["dump", "activity"], &["database"]),
];

/// Text of a configuration file, and what its sentence holds.
const FILES: &[(&str, &[&str])] = &[
    ("lisen = \"127.0.0.1:1\"", &["unknown key `lisen`", "djaffar.toml", "`listen`"]),
    ("colour = \"red\"", &["unknown key `colour`", "--help"]),
    ("config = \"other.toml\"", &["unknown key `config`"]),
    ("[queue]\nurl = \"x\"", &["`queue`", "neither a text"]),
    ("listen = 127.0.0.1", &["config", "not TOML", "line 1"]),
    ("\nlisten = \"a\"\nlisten = \"b\"", &["not TOML", "line 3"]),
    ("base-path = \"/a\"\nbase_path = \"/b\"", &["`base-path` stands twice"]),
    ("listen = \"nowhere\"", &["`listen` in djaffar.toml", "127.0.0.1:8080"]),
    ("referer-max = 1.5", &["`referer-max`", "neither a text"]),
    ("secret-key = \"hunter2\"", &["secret-key", "7 characters"]),
];

/// A variable, its value, and what its sentence holds.
const VARIABLES: &[(&str, &str, &[&str])] = &[
    ("DJAFFAR_LISTEN", "nowhere", &["DJAFFAR_LISTEN: 'nowhere'"]),
    ("DJAFFAR_LISTN", "127.0.0.1:1", &["DJAFFAR_LISTN", "DJAFFAR_LISTEN?"]),
    ("DJAFFAR_QUEUE", "", &["queue is empty"]),
    ("DJAFFAR_SESSION_EXPIRE_AT_BROWSER_CLOSE", "perhaps", &["DJAFFAR_SESSION_EXPIRE_AT_BROWSER_CLOSE"]),
];

fn assert_holds(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "`{part}` is missing in: {sentence}");
    }
}

#[tokio::test]
async fn flags_that_cannot_work() {
    for (arguments, parts) in FLAGS {
        assert_holds(&Run::new(arguments).refusal().await, parts);
    }
}

#[tokio::test]
async fn files_that_cannot_work() {
    for (text, parts) in FILES {
        assert_holds(&Run::new(&["serve"]).config(text).refusal().await, parts);
    }
}

#[tokio::test]
async fn variables_that_cannot_work() {
    for (name, value, parts) in VARIABLES {
        assert_holds(&Run::new(&["serve"]).variable(name, value).refusal().await, parts);
    }
}

#[tokio::test]
async fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let parts = ["cannot listen on", &address, "choose another port"];
    let public = Run::new(&["serve", "--listen", &address, "--admin-listen", "127.0.0.1:0"]).refusal().await;
    assert_holds(&public, &parts);
    assert!(public.starts_with("listen:"), "{public}");
    let admin = Run::new(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", &address]).refusal().await;
    assert_holds(&admin, &parts);
    assert!(admin.starts_with("admin-listen:"), "{admin}");
}

#[tokio::test]
async fn a_data_directory_in_use() {
    let mut first = Djaffar::serve();
    first.start_ready().await;
    let second = Run::new(&["serve", "--data-dir", &first.data_directory(), "--listen", "127.0.0.1:0"]);
    assert_holds(&second.refusal().await, &["data-dir", "in use by another djaffar process"]);
}

#[tokio::test]
async fn a_damaged_secret_key() {
    let run = Run::new(&["serve", "--data-dir", "."]).file("secret-key", "cut off");
    assert_holds(&run.refusal().await, &["data-dir", "secret-key", "restore it"]);
}

#[tokio::test]
async fn check_names_everything_that_is_wrong_at_once() {
    let run = Run::new(&["check", "--role", "ingest", "--config-only", "--queue", "kafka://a"]);
    let output = run.output().await;
    let text = String::from_utf8(output.stdout).expect("djaffar prints UTF-8");
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.lines().all(|line| line.starts_with("wrong ")), "{text}");
    assert_holds(&text, &["secret-key is needed", "queue is neither"]);
}
