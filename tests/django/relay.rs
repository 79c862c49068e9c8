//! `include("djaffar.urls")` and `runserver`: the site passes log requests on.

use djaffar_tests::client::exchange;
use djaffar_tests::free_port;
use djaffar_tests::process::{Djaffar, Process};
use serde_json::json;
use tempfile::TempDir;

use crate::beside::{Beside, Database, Page, Place, cookie, log};
use crate::shop::{Age, KEY, Shop};

/// A shop with runserver before Djaffar.
struct Relayed {
    beside: Beside,
    port: u16,
    _runserver: Process,
    _log: TempDir,
}

impl Relayed {
    async fn start(age: Age, djaffar: impl FnOnce(&Place, Djaffar, u16) -> Djaffar) -> Self {
        let place = Place::new(Database::Sqlite).await;
        let plan = place.plan(age);
        let shop = Shop::open(&plan, free_port());
        shop.tell("migrate", json!({}));
        let base = place.djaffar().with("--trusted-proxies", "127.0.0.1");
        let log = tempfile::tempdir().expect("a temporary directory");
        let plan = plan.with("SHOP_INGEST", &format!("http://{}", base.listen()));
        let (runserver, port) = plan.runserver(&log.path().join("log")).await;
        let mut djaffar = djaffar(&place, base, port);
        djaffar.start_ready().await;
        Self { beside: Beside { djaffar, shop, place }, port, _runserver: runserver, _log: log }
    }
}

async fn assert_relayed(relayed: &mut Relayed) {
    let Relayed { beside, port, .. } = relayed;
    let (user, session) = beside.shop.visitor();
    let logged = log(*port, Page::OfTheSite, &[("Cookie", &cookie(&session))], "").await;
    assert_eq!(logged.response.status, 204, "{logged:?}");
    assert!(logged.response.header("djaffar-identity").is_some(), "{logged:?}");
    let row = beside.row(&logged.path).await;
    assert_eq!((&row["user"], &row["session"]), (&json!(user), &json!(session)));

    let refused = log(*port, Page::Unknown, &[("Cookie", &cookie(&session))], "").await;
    assert_eq!(refused.response.status, 403, "{refused:?}");
    assert!(refused.detail().starts_with("CSRF Failed: "), "{refused:?}");
    let foreign = log(*port, Page::Foreign, &[("Cookie", &cookie(&session))], "").await;
    assert_eq!(foreign.response.status, 403, "{foreign:?}");
    let wrong = log(*port, Page::OfTheSite, &[("Authorization", "Token 0")], "").await;
    assert_eq!((wrong.response.status, wrong.response.header("www-authenticate")), (401, Some("Token")));
    let invalid = get(*port, "PUT", "log/").await;
    assert_eq!((invalid.status, invalid.header("allow")), (405, Some("POST, OPTIONS")));
    let pixel = get(*port, "GET", "pixel.gif?path=/seen-through-the-relay").await;
    assert_eq!((pixel.status, pixel.header("content-type")), (200, Some("image/gif")));
    assert_eq!(beside.row("/seen-through-the-relay").await["user"], json!(null));

    beside.djaffar.kill();
    let away = log(*port, Page::OfTheSite, &[], "").await;
    assert_eq!((away.response.status, away.response.header("retry-after")), (503, Some("2")));
    beside.djaffar.start_ready().await;
    let back = log(*port, Page::OfTheSite, &[("Cookie", &cookie(&session))], "").await;
    assert_eq!(back.response.status, 204, "{back:?}");
    assert_eq!(beside.row(&back.path).await["user"], json!(user));
}

async fn get(port: u16, method: &str, path: &str) -> djaffar_tests::client::Response {
    let request =
        format!("{method} /djaffar/{path} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n");
    exchange(([127, 0, 0, 1], port).into(), request.as_bytes()).await.expect("an answer")
}

fn looking_up(place: &Place, djaffar: Djaffar, _: u16) -> Djaffar {
    djaffar
        .with("--django-database", &place.django)
        .with("--django-secret-key", KEY)
        .with("--token-preset", "drf")
}

/// The very site that passes the request on.
fn asking(_: &Place, djaffar: Djaffar, port: u16) -> Djaffar {
    djaffar.with("--auth-url", format!("http://127.0.0.1:{port}/djaffar/identity/"))
}

#[tokio::test]
async fn a_site_passes_log_requests_on() {
    let mut relayed = Relayed::start(Age::Newest, looking_up).await;
    let first = log(relayed.port, Page::OfTheSite, &[], "").await;
    let begun = first.cookie("sessionid").expect("a session of Django's").to_owned();
    assert_eq!(relayed.beside.row(&first.path).await["session"], json!(begun));
    assert_relayed(&mut relayed).await;
}

#[tokio::test]
async fn the_oldest_site_passes_log_requests_on() {
    assert_relayed(&mut Relayed::start(Age::Oldest, looking_up).await).await;
}

#[tokio::test]
async fn a_site_passes_on_what_it_is_then_asked_about() {
    let mut relayed = Relayed::start(Age::Newest, asking).await;
    let first = log(relayed.port, Page::OfTheSite, &[], "").await;
    assert!(first.cookie("djaffar_session").is_some(), "{first:?}");
    assert_relayed(&mut relayed).await;
}
