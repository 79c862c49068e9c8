//! The containers of `deploy/compose.yaml`, from images that stand in for those of the registries.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::checker::Queue;
use crate::database::Database;
use crate::docker::{Compose, Engine, copy_of_deploy, prints, prints_or_fails};
use crate::{binary, free_port, workspace};

/// What the stack is started as; the rest are their dependencies. Grafana has no stand-in.
const STARTED: [&str; 3] = ["proxy", "writer", "prometheus"];
const SETTINGS: &str = "compose.override.yaml";
/// The engine that the tests start keeps its images in one folder.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Dropping it stops and removes all of it.
#[derive(Debug)]
pub struct Stack {
    version: Compose,
    compose: Vec<&'static str>,
    project: String,
    pub proxy: SocketAddr,
    pub prometheus: SocketAddr,
    deploy: TempDir,
    pub engine: Engine,
    // Dropped last.
    _turn: MutexGuard<'static, ()>,
}

impl Stack {
    /// Makes the images and starts everything; returns when the proxy is healthy, or why Docker cannot.
    /// The settings are an operator's own, if there are any: the text of a `compose.override.yaml`.
    ///
    /// # Errors
    /// Docker or this version of Compose is not there.
    ///
    /// # Panics
    /// They are there, and the stack does not start.
    pub async fn up(version: Compose, settings: Option<&str>) -> Result<Self, String> {
        let turn = ONE_AT_A_TIME.lock().await;
        let engine = Engine::find().await?;
        let compose = engine.compose(version)?;
        engine.can_stand_in()?;
        let source = if env::var_os("COMPOSE_FROM_SOURCE").is_some() {
            "--source".into()
        } else {
            binary("djaffar").into_os_string()
        };
        let images = engine.command(workspace().join("tests/compose/stand_ins")).arg(source).status();
        assert!(images.expect("bash is there").success(), "the images cannot be made; the reason is above");
        let local = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let project = format!("djaffar-test-{}", std::process::id());
        let deploy = copy_of_deploy();
        if let Some(settings) = settings {
            fs::write(deploy.path().join(SETTINGS), settings).expect("a file can be written");
        }
        let (proxy, prometheus) = (local(), local());
        let stack = Self { version, compose, project, proxy, prometheus, deploy, engine, _turn: turn };
        stack.compose(&[&["up", "--detach", "--no-build"], &STARTED[..]].concat());
        Ok(stack)
    }

    /// What Compose prints.
    ///
    /// # Panics
    /// It fails.
    pub fn compose(&self, arguments: &[&str]) -> String {
        prints(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.engine.command(self.compose[0]);
        command.args(&self.compose[1..]).args(arguments);
        self.as_the_operator(&mut command);
        command
    }

    /// In the folder of the stack, with the variables that choose files, ports and names.
    fn as_the_operator(&self, command: &mut Command) {
        let mut files = format!("compose.yaml:{}", workspace().join("tests/compose/override.yaml").display());
        if self.deploy.path().join(SETTINGS).exists() {
            files = format!("{files}:{SETTINGS}");
        }
        command.current_dir(self.deploy.path());
        command.env("COMPOSE_PROJECT_NAME", &self.project);
        command.env("COMPOSE_FILE", files);
        command.envs(self.version.settings());
        command.env("PROXY_LISTEN", self.proxy.to_string());
        command.env("PROMETHEUS_LISTEN", self.prometheus.to_string());
    }

    /// Replaces the containers of a service by `deploy/roll`.
    ///
    /// # Errors
    /// What it says when it fails.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn roll(&self, service: &str) -> Result<(), String> {
        let mut command = self.engine.command(self.deploy.path().join("roll"));
        self.as_the_operator(command.arg(service));
        prints_or_fails(&mut command).map(drop)
    }

    /// As many containers of a service as this.
    pub fn scale(&self, service: &str, count: usize) {
        let scale = format!("{service}={count}");
        let up = ["up", "--detach", "--no-build", "--no-deps", "--no-recreate", "--scale", &scale, service];
        self.compose(&up);
    }

    /// Ids of a service's containers that run.
    #[must_use]
    pub fn containers(&self, service: &str) -> Vec<String> {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        let ids = self.engine.docker(&["ps", "--quiet", "--filter", &project, "--filter", &service]);
        ids.lines().map(str::to_owned).collect()
    }

    /// # Panics
    /// None of them runs.
    #[must_use]
    pub fn container(&self, service: &str) -> String {
        self.containers(service).pop().unwrap_or_else(|| panic!("no {service} runs"))
    }

    /// What `docker inspect` says to this template.
    #[must_use]
    pub fn inspect(&self, container: &str, template: &str) -> String {
        self.engine.docker(&["inspect", "--format", template, container])
    }

    /// Where a container answers in one of the stack's networks. Restarts change it.
    #[must_use]
    pub fn address(&self, container: &str, network: &str) -> String {
        let network = format!("{}_{network}", self.project);
        self.inspect(container, &format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}"))
    }

    /// # Panics
    /// The secret was not made.
    #[must_use]
    pub fn database(&self) -> Database {
        let secret = self.deploy.path().join("secrets/writer/database");
        let url = fs::read_to_string(secret).expect("the stack has made it");
        let address = self.address(&self.container("postgres"), "back");
        Database::Postgres(url.replace("@postgres/", &format!("@{address}/")))
    }

    #[must_use]
    pub fn queue(&self) -> Queue {
        Queue::JetStream(format!("nats://{}:4222", self.address(&self.container("nats"), "back")))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if thread::panicking() {
            let logs = self.command(&["logs", "--no-color", "--tail", "15"]).output();
            eprintln!("{}", String::from_utf8_lossy(&logs.map(|output| output.stdout).unwrap_or_default()));
        }
        let down = ["down", "--volumes", "--remove-orphans", "--timeout", "5"];
        let removed = self.command(&down).output().is_ok_and(|output| output.status.success());
        if !removed {
            eprintln!("the containers of {} could not be removed", self.project);
        }
    }
}
