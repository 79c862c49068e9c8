//! Djaffar beside a shop, and the log requests of its visitors.

use std::sync::{Arc, Weak};

use chrono::SecondsFormat;
use djaffar_tests::client::{Response, exchange};
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Djaffar;
use djaffar_tests::{free_port, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::shop::{Age, CHANGE_LIMIT, KEY, Plan, Shop};

/// Where Django keeps its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// Databases of a test's own.
pub(crate) struct Place {
    pub(crate) django: String,
    pub(crate) rows: String,
    pub(crate) _server: Option<Arc<Postgres>>,
    pub(crate) directory: TempDir,
}

impl Place {
    pub(crate) async fn new(database: Database) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str| format!("sqlite:{}", directory.path().join(name).display());
        match database {
            Database::Sqlite => {
                Self { django: file("shop.sqlite3"), rows: file("rows.sqlite3"), _server: None, directory }
            }
            Database::Postgres => {
                let server = Postgres::shared().await;
                // Djaffar's tables stand beside Django's.
                let url = server.database().await;
                Self { django: url.clone(), rows: url, _server: Some(server), directory }
            }
        }
    }

    pub(crate) fn plan(&self, age: Age) -> Plan {
        Plan::new(age, &self.django, &self.rows).with("SHOP_REST_FRAMEWORK", "yes")
    }

    /// `djaffar serve` into these rows, with answers that are forgotten soon.
    pub(crate) fn djaffar(&self) -> Djaffar {
        self.djaffar_that_remembers_for("1s")
    }

    /// Patient: a busy machine is no site that is away.
    pub(crate) fn djaffar_that_remembers_for(&self, time: &str) -> Djaffar {
        self.impatient_djaffar().with("--identity-cache-time", time).with("--identity-timeout", "30s")
    }

    pub(crate) fn impatient_djaffar(&self) -> Djaffar {
        Djaffar::serve().with("--database", &self.rows).with("--request-timeout", "10s")
    }

    /// One that looks users up in Django's database.
    pub(crate) fn looking_up(&self) -> Djaffar {
        self.djaffar()
            .with("--django-database", &self.django)
            .with("--django-secret-key", KEY)
            .with("--token-preset", "drf,oauth-toolkit")
    }
}

/// What browsers say of the page that sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// `Sec-Fetch-Site: same-origin`.
    OfTheSite,
    Foreign,
    /// Nothing: an old browser, or none at all.
    Unknown,
}

/// A shop and a Djaffar.
pub(crate) struct Beside {
    pub(crate) djaffar: Djaffar,
    pub(crate) shop: Shop,
    pub(crate) place: Place,
}

impl Beside {
    /// `plan` and `djaffar` change what they are given.
    pub(crate) async fn start(
        place: Place,
        plan: &Plan,
        djaffar: impl FnOnce(&Place, &Shop) -> Djaffar,
    ) -> Self {
        let shop = Shop::open(plan, free_port());
        shop.tell("migrate", json!({}));
        let mut djaffar = djaffar(&place, &shop);
        djaffar.start_ready().await;
        Self { djaffar, shop, place }
    }

    /// The one of all tests that run now and change nothing of the shop but users of their own.
    pub(crate) async fn shared(age: Age, database: Database) -> Arc<Self> {
        static SHARED: [Mutex<Weak<Beside>>; 4] = [const { Mutex::const_new(Weak::new()) }; 4];
        let place = usize::from(age == Age::Oldest) * 2 + usize::from(database == Database::Postgres);
        let mut shared = SHARED[place].lock().await;
        if let Some(beside) = shared.upgrade() {
            return beside;
        }
        let place = Place::new(database).await;
        let plan = place.plan(age);
        let beside = Arc::new(Self::start(place, &plan, |place, _| place.looking_up()).await);
        *shared = Arc::downgrade(&beside);
        beside
    }

    pub(crate) async fn log(&self, page: Page, headers: &[(&str, &str)]) -> Logged {
        log(self.djaffar.listen().port(), page, headers, "").await
    }

    /// As soon as it is stored.
    pub(crate) async fn row(&self, path: &str) -> Value {
        wait_for("the row to be stored", CHANGE_LIMIT, || async {
            let row = self.shop.try_to("row", json!({"path": path}));
            // Until Djaffar has made its tables Django cannot read them.
            (row.is_object() && row.get("failed").is_none()).then_some(row)
        })
        .await
    }

    /// The log request of a page of the site is accepted; its row.
    pub(crate) async fn stored(&self, headers: &[(&str, &str)]) -> (Value, Logged) {
        let logged = self.log(Page::OfTheSite, headers).await;
        assert_eq!(logged.response.status, 204, "{logged:?}");
        (self.row(&logged.path).await, logged)
    }

    pub(crate) async fn stored_with_session(&self, session: &str) -> (Value, Logged) {
        self.stored(&[("Cookie", &cookie(session))]).await
    }

    /// Waits until a log request with these headers is nobody's.
    pub(crate) async fn wait_for_nobody(&self, headers: &[(&str, &str)]) {
        wait_for("the user to be forgotten", CHANGE_LIMIT, || async {
            self.stored(headers).await.0["user"].is_null().then_some(())
        })
        .await;
    }
}

#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) path: String,
    pub(crate) response: Response,
}

impl Logged {
    /// The cookie of that name that the answer sets.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let set = self.response.headers.iter().filter(|(header, _)| header == "set-cookie");
        set.filter_map(|(_, value)| value.split(';').next()?.split_once('='))
            .find_map(|(set, value)| (set == name).then_some(value))
    }

    pub(crate) fn detail(&self) -> String {
        let body: Value = serde_json::from_slice(&self.response.body).expect("JSON");
        body["detail"].as_str().expect("a detail").to_owned()
    }
}

pub(crate) fn cookie(session: &str) -> String {
    format!("sessionid={session}")
}

/// A form with `date`, a `path` of its own, and `more`.
pub(crate) async fn log(port: u16, page: Page, headers: &[(&str, &str)], more: &str) -> Logged {
    let path = format!("/visit/{}", Uuid::new_v4());
    let date = shared::time::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let body = format!("date={date}&path={path}{more}");
    let mut head = "POST /djaffar/log/ HTTP/1.1\r\nHost: shop.example\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\n"
        .to_owned();
    head += match page {
        Page::OfTheSite => "Origin: http://shop.example\r\nSec-Fetch-Site: same-origin\r\n",
        Page::Foreign => "Origin: http://foreign.example\r\nSec-Fetch-Site: cross-site\r\n",
        Page::Unknown => "",
    };
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let address = ([127, 0, 0, 1], port).into();
    let response = exchange(address, request.as_bytes()).await.expect("an answer");
    Logged { path, response }
}
