//! The ceiling: the same accept loop and the same body, and nothing done with it.

use std::net::SocketAddr;

use ingest::http::client_address::TrustedProxies;
use ingest::http::serve::{self, ConnectionLimits, Connections};
use shared::lifecycle::Shutdown;
use warp::http::StatusCode;
use warp::{Filter, Reply};

/// Until the process is killed.
pub(crate) async fn serve(address: SocketAddr) {
    let listener = serve::bind(address).expect("the address is free");
    let routes = warp::path!("djaffar" / "log")
        .and(warp::post())
        .and(warp::body::bytes())
        .map(|_body| StatusCode::NO_CONTENT.into_response())
        .boxed();
    let connections = Connections::new(8192, 8192, TrustedProxies::default());
    serve::serve(listener, routes, ConnectionLimits::default(), connections, Shutdown::new()).await;
}
