//! A site of Django's, which does what the tests say: see `shop/serve.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use djaffar_tests::process::Process;
use djaffar_tests::{START_LIMIT, free_port, tools, wait_until, workspace};
use serde_json::{Value, json};
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "django-insecure: the shop's own key of more than fifty characters";

/// Which Django: `tests/setup` installs both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Newest,
    Oldest,
}

impl Age {
    pub(crate) fn python(self) -> PathBuf {
        let name = match self {
            Self::Newest => "django-newest",
            Self::Oldest => "django-oldest",
        };
        tools().join(name).join("bin/python")
    }
}

/// What a shop is like: the variables of `shop/settings.py`.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    age: Age,
    variables: Vec<(&'static str, String)>,
}

impl Plan {
    pub(crate) fn new(age: Age, database: &str, rows: &str) -> Self {
        Self { age, variables: Vec::new() }
            .with("SHOP_DATABASE", database)
            .with("SHOP_ROWS", rows)
            .with("SHOP_KEYS", KEY)
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.retain(|(set, _)| *set != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.age.python());
        command
            .arg(workspace().join("tests/django/shop").join(program))
            .env("PYTHONPATH", workspace().join("django"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONWARNINGS", "ignore")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Django's own development server, until it is dropped.
    pub(crate) async fn runserver(&self, log: &std::path::Path) -> (Process, u16) {
        let port = free_port();
        let mut command = self.command("manage.py");
        command.args(["runserver", "--noreload", &format!("127.0.0.1:{port}")]);
        let process = Process::start("runserver", &mut command, log);
        wait_until("runserver to listen", START_LIMIT, || async {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        (process, port)
    }
}

/// Ends with its standard input.
pub(crate) struct Shop {
    port: u16,
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Shop {
    /// On a port that it keeps for the next one with the same number.
    pub(crate) fn open(plan: &Plan, port: u16) -> Self {
        let mut child = plan
            .command("serve.py")
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is there: run tests/setup");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let shop = Self { port, child, pipes: Mutex::new((stdin, stdout)) };
        // Its server listens before it takes orders.
        shop.tell("versions", json!({}));
        shop
    }

    /// The result of an order.
    pub(crate) fn tell(&self, order: &str, arguments: Value) -> Value {
        let answer = self.try_to(order, arguments);
        assert!(answer.get("failed").is_none(), "{order}: {answer}");
        answer
    }

    /// The result, or `{"failed": why}`.
    pub(crate) fn try_to(&self, order: &str, mut arguments: Value) -> Value {
        arguments["do"] = order.into();
        let mut pipes = self.pipes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        writeln!(pipes.0, "{arguments}").expect("the shop takes orders");
        let mut line = String::new();
        pipes.1.read_line(&mut line).expect("the shop answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{order}: the shop has answered {line:?}"))
    }

    pub(crate) fn text(&self, order: &str, arguments: Value) -> String {
        self.tell(order, arguments).as_str().expect("a text").to_owned()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A new user; the name, which no other test has.
    pub(crate) fn user(&self) -> String {
        let name = format!("user-{}", uuid::Uuid::new_v4().simple());
        self.tell("create_user", json!({"username": name}));
        name
    }

    /// Through the site's log-in view; the session's key.
    pub(crate) fn log_in(&self, user: &str) -> String {
        let cookies = self.tell("log_in", json!({"username": user}));
        cookies["sessionid"].as_str().expect("a session cookie").to_owned()
    }

    /// A new user who has logged in: name and session.
    pub(crate) fn visitor(&self) -> (String, String) {
        let user = self.user();
        let session = self.log_in(&user);
        (user, session)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) const CHANGE_LIMIT: Duration = Duration::from_secs(60);
