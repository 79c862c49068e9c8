//! The test harness: real servers, real processes, and waiting on conditions.
//!
//! Each test owns its servers, ports and files; whatever it starts ends with
//! it, also when it panics. Failures panic: this crate serves tests only.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub mod batch;
pub mod certificates;
pub mod checker;
pub mod client;
pub mod database;
pub mod docker;
pub mod journal;
pub mod nats;
pub mod nats_cluster;
pub mod openapi;
pub mod pipeline;
pub mod postgres;
pub mod process;
pub mod rounds;
pub mod small_disk;
pub mod stack;
pub mod strace;
pub mod tcp_proxy;
pub mod tls_front;

/// Long enough for a server to start on a busy machine.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// What `tests/setup` installs.
#[must_use]
pub fn tools() -> PathBuf {
    workspace().join("target/tools")
}

/// `djaffar` (from `$BINARY_UNDER_TEST`, else the debug build), or a program that `tests/setup` installs.
///
/// A variable that began with `DJAFFAR_` would be refused by the binary itself.
///
/// # Panics
/// It is not there.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let path = match (name, env::var_os("BINARY_UNDER_TEST")) {
        ("djaffar", Some(path)) => PathBuf::from(path),
        ("djaffar", None) => env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| workspace().join("target"), PathBuf::from)
            .join("debug/djaffar"),
        // `djaffar-failpoints` too: tests/run puts it there.
        (tool, _) => tools().join("bin").join(tool),
    };
    assert!(path.exists(), "{} is missing: run tests/run, or tests/setup and cargo build", path.display());
    path
}

/// A port of 127.0.0.1 that nobody listens on, and that no other test of this process is given.
///
/// Taken from below the ephemeral range, so that no outgoing connection grabs it before the server does.
/// A server may be down for a while: its port stays its own, which asking the kernel alone would not see.
///
/// # Panics
/// No port is free.
#[must_use]
pub fn free_port() -> u16 {
    const PORTS: Range<u16> = 10_000..32_000;
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random_range(PORTS)));
    let following = |port: u16| Some(if port + 1 < PORTS.end { port + 1 } else { PORTS.start });
    (0..1000)
        .map(|_| NEXT.try_update(Ordering::Relaxed, Ordering::Relaxed, following).expect("always one"))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one port of 1,000 is free")
}

/// Waits until the condition holds. `what` completes "waited for ...".
///
/// # Panics
/// It does not hold within `limit`.
pub async fn wait_until<C: Future<Output = bool>>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> C,
) {
    wait_for(what, limit, || {
        let holds = condition();
        async { holds.await.then_some(()) }
    })
    .await;
}

/// Waits until there is a value. `what` completes "waited for ...".
///
/// # Panics
/// There is none within `limit`.
pub async fn wait_for<T, C: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut attempt: impl FnMut() -> C,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_condition() {
        let mut left = 3;
        wait_until("three calls", Duration::from_secs(5), || {
            left -= 1;
            let done = left == 0;
            async move { done }
        })
        .await;
        assert_eq!(left, 0);
    }

    #[tokio::test]
    #[should_panic(expected = "for the impossible")]
    async fn waiting_ends_with_the_limit() {
        wait_until("the impossible", Duration::from_millis(1), || async { false }).await;
    }

    #[test]
    fn a_free_port_can_be_bound() {
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).is_ok());
    }
}
