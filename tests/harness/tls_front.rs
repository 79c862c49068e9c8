//! TLS before a server that speaks none: what a web server in front of a site does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::Certified;

/// Dropping it closes the listener.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    _accepting: OwnedTask<()>,
}

impl TlsFront {
    /// # Panics
    /// The files are not what they should be, or no port is free.
    pub async fn start(upstream: SocketAddr, certified: &Certified) -> Self {
        let chain = CertificateDer::pem_file_iter(&certified.certificate).expect("a certificate");
        let chain = chain.collect::<Result<_, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(&certified.key).expect("a key");
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they belong together");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let accepting = spawn_owned(accept(listener, TlsAcceptor::from(Arc::new(config)), upstream));
        Self { address, _accepting: accepting }
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, upstream: SocketAddr) {
    let mut passing = Vec::new();
    while let Ok((client, _)) = listener.accept().await {
        passing.push(spawn_owned(pass(client, acceptor.clone(), upstream)));
    }
}

/// A client that does not believe the certificate, and one that goes away, end only their own connection.
async fn pass(client: TcpStream, acceptor: TlsAcceptor, upstream: SocketAddr) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
}
