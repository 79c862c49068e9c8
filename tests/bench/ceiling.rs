//! The ceilings of the requests: the same accept loop and the same bodies, and nothing done with them.

use std::env;
use std::hint::black_box;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use djaffar_tests::process::Process;
use djaffar_tests::{START_LIMIT, free_port, wait_until};
use flate2::bufread::GzDecoder;
use ingest::http::client_address::TrustedProxies;
use ingest::http::serve::{self, ConnectionLimits, Connections};
use serde::Deserialize;
use shared::lifecycle::Shutdown;
use tokio::net::TcpStream;
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Reply};

/// Beyond every body that is sent here.
const BODY_BYTES_MAX: usize = 64 * 1024;
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// What it costs to know what an item of a batch says.
#[derive(Deserialize)]
#[expect(dead_code, reason = "parsed and dropped")]
struct Item<'a> {
    id: Option<&'a str>,
    date: &'a str,
    path: &'a str,
    referer: &'a str,
}

/// Starts this program once more, as these handlers; they answer when this returns.
pub(crate) async fn start(directory: &Path) -> (Process, SocketAddr) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["ceiling", &address.to_string()]);
    let process = Process::start("the ceiling", &mut command, &directory.join("log"));
    let connected = || async { TcpStream::connect(address).await.is_ok() };
    wait_until("the ceiling", START_LIMIT, connected).await;
    (process, address)
}

/// Until the process is killed.
pub(crate) async fn serve(address: SocketAddr) {
    let listener = serve::bind(address).expect("the address is free");
    let log = warp::path!("djaffar" / "log")
        .and(warp::post())
        .and(warp::body::bytes())
        .map(|_body| StatusCode::NO_CONTENT.into_response());
    let batch =
        warp::path!("djaffar" / "batch").and(warp::post()).and(warp::body::bytes()).map(batch).boxed();
    let routes = log.or(batch).unify().boxed();
    let connections = Connections::new(8192, 8192, TrustedProxies::default());
    serve::serve(listener, routes, ConnectionLimits::default(), connections, Shutdown::new()).await;
}

/// Decompresses, parses and drops; the body says how it is coded.
fn batch(body: Bytes) -> Response {
    let items = if body.starts_with(GZIP_MAGIC) {
        let mut lines = Vec::with_capacity(BODY_BYTES_MAX);
        GzDecoder::new(&*body).read_to_end(&mut lines).expect("our own gzip");
        parse(&lines)
    } else if body.starts_with(ZSTD_MAGIC) {
        parse(&zstd::bulk::decompress(&body, BODY_BYTES_MAX).expect("our own zstd"))
    } else {
        parse(&body)
    };
    format!(r#"{{"accepted":{items},"rejected":[]}}"#).into_response()
}

fn parse(lines: &[u8]) -> usize {
    let mut items = 0;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        black_box(serde_json::from_slice::<Item>(line).expect("our own JSON"));
        items += 1;
    }
    items
}
