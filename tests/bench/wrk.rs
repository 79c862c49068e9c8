//! One run of `wrk`: closed loop, one thread.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use djaffar_tests::client::exchange;

const BODY: &str = "date=2016-12-29T07:35:22.571Z&path=https://shop.example.com/users/me/cart/&\
                    referer=https://shop.example.com/products/category/garden";
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) requests: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p99_milliseconds: f64,
}

/// Posts the same log request over and over, under a session cookie that the server gave.
///
/// # Panics
/// An answer is no 204, or wrk fails.
pub(crate) async fn run(target: SocketAddr, connections: u32, seconds: u32, directory: &Path) -> Measured {
    let request = format!(
        "POST /djaffar/log/ HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let response = exchange(target, request.as_bytes()).await.expect("an answer");
    assert_eq!(response.status, 204, "{response:?}");
    let cookie = response.cookie().unwrap_or("djaffar_session=none");
    let script = directory.join("log.lua");
    let lua = format!(
        "wrk.method = \"POST\"\nwrk.body = \"{BODY}\"\n\
         wrk.headers[\"Content-Type\"] = \"application/x-www-form-urlencoded\"\n\
         wrk.headers[\"User-Agent\"] = \"{USER_AGENT}\"\nwrk.headers[\"Cookie\"] = \"{cookie}\"\n"
    );
    std::fs::write(&script, lua).expect("the script can be written");
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency", "--timeout", "10s"]);
    command.arg(format!("-c{connections}")).arg(format!("-d{seconds}s"));
    command.arg("-s").arg(script).arg(format!("http://{target}/djaffar/log/"));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("wrk is waited for")
        .expect("wrk is there: tests/setup --bench installs it");
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(output: &str) -> Measured {
    assert!(!output.contains("Non-2xx") && !output.contains("Socket errors"), "{output}");
    let after = |mark: &str| {
        let (_, rest) = output.split_once(mark).unwrap_or_else(|| panic!("no {mark:?} in {output}"));
        rest.split_whitespace().next().unwrap_or_default().to_owned()
    };
    let requests = output.lines().find(|line| line.contains(" requests in ")).unwrap_or_default();
    Measured {
        requests: requests
            .split_whitespace()
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(f64::NAN),
        requests_per_second: after("Requests/sec:").parse().unwrap_or(f64::NAN),
        p99_milliseconds: milliseconds(&after("99%")),
    }
}

/// "850.00us", "4.20ms" or "1.10s".
fn milliseconds(duration: &str) -> f64 {
    let end = duration.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(duration.len());
    let (number, unit) = duration.split_at(end);
    let factor = match unit {
        "us" => 0.001,
        "s" => 1000.0,
        _ => 1.0,
    };
    number.parse().map_or(f64::NAN, |number: f64| number * factor)
}
