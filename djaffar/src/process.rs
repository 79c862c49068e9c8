//! A process that serves: its listeners, its main tasks, and the order in which they stop.
//!
//! Ingest stops first, so that whatever it has promised is in the queue when
//! the writer begins to drain it; queue and admin listener stop last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest::IngestTelemetry;
use ingest::http::client_address::TrustedProxies;
use ingest::http::serve::{self, ConnectionLimits, Connections};
use metrics_exporter_prometheus::PrometheusHandle;
use shared::lifecycle::{Lifecycle, Shutdown, TaskResult};
use shared::readiness::{Condition, Readiness};
use shared::secret::Secret;
use tokio::net::TcpListener;
use writer::{StopMode, WriterConfig, WriterTelemetry};

use crate::adapters::{AnyQueue, CappedStore, Database};
use crate::admin::{Admin, Facts};
use crate::failure::Failure;
use crate::open_files;
use crate::queue_totals;
use crate::runtime::StopSignals;
use crate::settings::admin::AdminSettings;
use crate::settings::duration::Span;
use crate::store_totals::StoreTotals;
use crate::{retention, telemetry};

/// Enough for probes, scrapers and people.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// What every serving process has.
pub(crate) struct Process {
    role: &'static str,
    started: Instant,
    pub(crate) readiness: Readiness,
    /// Red from the request to stop on.
    running: Condition,
    metrics: PrometheusHandle,
    signals: StopSignals,
    lifecycle: Lifecycle,
    stop: Stop,
    stop_timeout: Duration,
    ingest: Option<IngestTelemetry>,
    writer: Option<WriterTelemetry>,
    totals: Option<StoreTotals>,
    frames_key: Option<Secret>,
}

/// The requests to stop, in their order.
struct Stop {
    ingest: Shutdown,
    writer: Shutdown,
    rest: Shutdown,
}

/// Requests the next stop when a task ends, however it ends.
struct Then(Shutdown);

impl Drop for Then {
    fn drop(&mut self) {
        self.0.request();
    }
}

impl Process {
    pub(crate) fn new(role: &'static str, admin: &AdminSettings) -> Result<Self, Failure> {
        let readiness = Readiness::default();
        let running = readiness.condition("process");
        let stop = Stop { ingest: Shutdown::new(), writer: Shutdown::new(), rest: Shutdown::new() };
        Ok(Self {
            role,
            started: Instant::now(),
            running,
            readiness,
            metrics: telemetry::install()?,
            signals: StopSignals::listen()?,
            lifecycle: Lifecycle::new(stop.ingest.clone()),
            stop,
            stop_timeout: admin.stop_timeout.0,
            ingest: None,
            writer: None,
            totals: None,
            frames_key: None,
        })
    }

    /// Takes frames from whoever knows the key.
    pub(crate) fn take_frames(&mut self, key: Secret) {
        self.frames_key = Some(key);
    }

    /// Watches the queue's connection or disk until everybody else has stopped.
    pub(crate) fn watch(&mut self, queue: &AnyQueue) {
        let (queue, shutdown) = (queue.clone(), self.stop.rest.clone());
        self.lifecycle.spawn("queue", async move { queue.watch(shutdown).await });
    }

    pub(crate) fn take_requests(
        &mut self,
        listener: TcpListener,
        queue: &AnyQueue,
        mut config: ingest::IngestConfig,
    ) {
        config.connections_max = open_files::room_for(config.connections_max);
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let telemetry = IngestTelemetry::new();
        self.ingest = Some(telemetry.clone());
        let (queue, readiness) = (Arc::new(queue.clone()), self.readiness.clone());
        let (shutdown, then) = (self.stop.ingest.clone(), Then(self.stop.writer.clone()));
        self.lifecycle.spawn("ingest", async move {
            let _then = then;
            let users = config.users();
            ingest::run(listener, queue, users, config, telemetry, &readiness, shutdown).await
        });
    }

    /// Reads what the database keeps: dead letters and the accounts.
    pub(crate) fn read_totals(&mut self, database: Database) {
        if let Some(warning) = database.warning() {
            tracing::warn!("{warning}");
        }
        let totals = StoreTotals::default();
        self.totals = Some(totals.clone());
        self.lifecycle.spawn("store totals", totals.keep(database, self.stop.rest.clone()));
    }

    /// Deletes what has reached this age, from time to time.
    pub(crate) fn retain(&mut self, database: Database, retention: Span) {
        let shutdown = self.stop.rest.clone();
        self.lifecycle.spawn("retention", retention::keep(database, retention.0, shutdown));
    }

    /// `time_max` is what the writer may take of the stop.
    pub(crate) fn store(
        &mut self,
        queue: &AnyQueue,
        stores: Vec<CappedStore>,
        stop: StopMode,
        time_max: Duration,
    ) {
        let telemetry = WriterTelemetry::new();
        self.writer = Some(telemetry.clone());
        let (consumer, backlog) = (queue.consumer(), queue.clone());
        let config = WriterConfig { stop, stop_time_max: time_max, ..WriterConfig::default() };
        let readiness = self.readiness.clone();
        // Red before its task runs for the first time: nobody must find the process ready until then.
        for condition in ["queue", "database"] {
            drop(readiness.condition(condition));
        }
        let (shutdown, then) = (self.stop.writer.clone(), Then(self.stop.rest.clone()));
        self.lifecycle.spawn("writer", async move {
            let _then = then;
            writer::run(consumer, backlog, stores, config, telemetry, &readiness, shutdown).await
        });
    }

    /// Serves the admin listener and runs until a signal or a failed task; then stops in order.
    pub(crate) async fn run(self, admin: TcpListener, queue: AnyQueue) -> Result<(), Failure> {
        let Self { mut lifecycle, mut signals, stop, stop_timeout, running, .. } = self;
        if self.ingest.is_none() {
            chain(&mut lifecycle, "stop of the writer", stop.ingest.clone(), stop.writer.clone());
        }
        if self.writer.is_none() {
            chain(&mut lifecycle, "stop of the queue", stop.writer.clone(), stop.rest.clone());
        }
        let facts = Facts {
            role: self.role,
            started: self.started,
            readiness: self.readiness,
            ingest: self.ingest,
            writer: self.writer,
            queue: queue.clone(),
            totals: self.totals,
            frames_key: self.frames_key,
            metrics: self.metrics.clone(),
        };
        lifecycle.spawn("admin listener", serve_admin(admin, Admin::new(facts), stop.rest.clone()));
        lifecycle.spawn("queue totals", queue_totals::keep(queue, stop.rest.clone()));
        lifecycle.spawn("metrics upkeep", telemetry::upkeep(self.metrics, stop.rest));
        running.green();
        let asked = Shutdown::new();
        let signal = async {
            signals.next().await;
            running.red("stopping");
            tracing::info!("stopping");
            asked.request();
            // The second Ctrl-C is heard from here on.
            signals.interrupted().await;
        };
        let stopped = lifecycle.run(asked.requested(), stop_timeout);
        tokio::select! {
            outcome = stopped => Ok(outcome?),
            () = signal => Err(Failure::failed("stopped at once; what was not settled is delivered again")),
        }
    }
}

/// Hands the request to stop on where no task of this process stands between.
fn chain(lifecycle: &mut Lifecycle, name: &'static str, first: Shutdown, next: Shutdown) {
    lifecycle.spawn(name, async move {
        first.requested().await;
        next.request();
        Ok(())
    });
}

async fn serve_admin(listener: TcpListener, admin: Admin, shutdown: Shutdown) -> TaskResult {
    let limits = ConnectionLimits { drain_timeout: Duration::from_secs(1), ..ConnectionLimits::default() };
    let connections =
        Connections::new(ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTIONS_MAX, TrustedProxies::default());
    serve::serve(listener, admin.routes(), limits, connections, shutdown).await;
    Ok(())
}

/// Names this writer's rows in the accounts; the same after a restart, so that they stay few.
pub(crate) fn writer_id(admin: SocketAddr) -> String {
    format!("{}:{}", host(), admin.port())
}

/// What the machine is called; in a container, the container's short id.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Binds a listener; the sentence names the setting.
pub(crate) fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    serve::bind(address).map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another process listens there; stop it or choose another port",
            std::io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose a higher one",
            _ => "name an address of this machine",
        };
        Failure::misconfigured(format!("{setting}: cannot listen on {address}: {error}; {remedy}"))
    })
}

/// Where a listener really is: port 0 becomes a free one.
pub(crate) fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::failed(format!("a listener has no address: {error}")))
}

/// Two listeners on one address would fail at the second with a worse sentence.
pub(crate) fn check_apart(listen: SocketAddr, admin: SocketAddr) -> Result<(), Failure> {
    if listen == admin && listen.port() != 0 {
        return Err(Failure::misconfigured(format!(
            "listen and admin-listen are both {listen}; the admin pages must not be public, choose another port"
        )));
    }
    Ok(())
}
