//! `djaffar health`: whether a running process is ready, for the health checks of containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::cli::HealthArguments;
use crate::command::print;
use crate::failure::{Failure, innermost};

/// Below the time that a health check is usually given.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn run(arguments: HealthArguments) -> Result<(), Failure> {
    let url = arguments.url.unwrap_or_else(|| format!("http://{}", reachable(arguments.admin.admin_listen)));
    match ask(&url).await {
        Ok((true, text)) => {
            print(text.trim_end());
            Ok(())
        }
        Ok((false, text)) => {
            print(text.trim_end());
            Err(Failure::Reported(1))
        }
        Err(reason) => {
            print(&format!(
                "{url} does not answer: {reason}; is the process running, and is this its admin-listen?"
            ));
            Err(Failure::Reported(1))
        }
    }
}

/// A listener on all addresses answers on the machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Whether it is ready, and what it says.
async fn ask(url: &str) -> Result<(bool, String), String> {
    let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).no_proxy().build();
    let client = client.map_err(|error| error.to_string())?;
    let request = client.get(format!("{url}/readyz")).header("accept", "text/plain");
    let answer = request.send().await.map_err(|error| innermost(&error))?;
    let is_ready = answer.status() == reqwest::StatusCode::OK;
    Ok((is_ready, answer.text().await.map_err(|error| innermost(&error))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_the_machines_own() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:8081"), "127.0.0.1:8081");
        assert_eq!(asked("[::]:8081"), "[::1]:8081");
        assert_eq!(asked("192.0.2.1:1"), "192.0.2.1:1");
    }
}
