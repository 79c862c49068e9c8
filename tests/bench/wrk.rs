//! One run of `wrk`: closed loop, one thread.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use chrono::SecondsFormat;
use djaffar_tests::client::exchange;

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) target: SocketAddr,
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) requests: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p99_milliseconds: f64,
}

impl Measured {
    /// How long requests were sent.
    pub(crate) fn seconds(&self) -> f64 {
        self.requests / self.requests_per_second
    }
}

/// The headers that one browser or program adds to its log requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitor(pub(crate) Vec<(&'static str, String)>);

/// Posts log requests over and over, each visitor in turn; one without a `Cookie` keeps the
/// session that the server gives it.
///
/// # Panics
/// An answer is no 204, or wrk fails.
pub(crate) async fn run(load: Load, visitors: &[Visitor], directory: &Path) -> Measured {
    let first = visitors.first().expect("a visitor");
    let cookie = session_cookie(load.target, first).await;
    let request = |visitor| log_request(load.target, &with_cookie(visitor, &cookie));
    let requests: Vec<_> = visitors.iter().map(request).collect();
    repeat(load, &requests, directory).await
}

/// What the server gives a visitor to send back; where it sets none, something like it.
///
/// # Panics
/// The answer is no 204.
pub(crate) async fn session_cookie(target: SocketAddr, visitor: &Visitor) -> String {
    let response = exchange(target, &log_request(target, visitor)).await.expect("an answer");
    assert_eq!(response.status, 204, "{response:?}");
    response.cookie().unwrap_or("djaffar_session=none").to_owned()
}

fn with_cookie(visitor: &Visitor, cookie: &str) -> Visitor {
    let mut headers = visitor.0.clone();
    if headers.iter().all(|(name, _)| *name != "Cookie") {
        headers.push(("Cookie", cookie.to_owned()));
    }
    Visitor(headers)
}

/// A form of 150 bytes.
pub(crate) fn log_request(target: SocketAddr, visitor: &Visitor) -> Vec<u8> {
    let date = shared::time::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let body = format!(
        "date={date}&path=https://shop.example.com/users/me/cart/&\
         referer=https://shop.example.com/products/category/garden"
    );
    request(target, "log", "application/x-www-form-urlencoded", visitor, body.as_bytes())
}

/// The bytes of one request to `/djaffar/{endpoint}/`.
pub(crate) fn request(
    target: SocketAddr,
    endpoint: &str,
    content_type: &str,
    Visitor(headers): &Visitor,
    body: &[u8],
) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST /djaffar/{endpoint}/ HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n{headers}\
         Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends these requests in turn, over and over.
///
/// # Panics
/// An answer is no 2xx, or wrk fails.
pub(crate) async fn repeat(load: Load, requests: &[Vec<u8>], directory: &Path) -> Measured {
    let Load { target, connections, seconds } = load;
    let script = directory.join(format!("requests-{}.lua", target.port()));
    std::fs::write(&script, lua(requests)).expect("the script can be written");
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency", "--timeout", "10s"]);
    command.arg(format!("-c{connections}")).arg(format!("-d{seconds}s"));
    command.arg("-s").arg(script).arg(format!("http://{target}/"));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("wrk is waited for")
        .expect("wrk is there: tests/setup --bench installs it");
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Every request is ready made.
fn lua(requests: &[Vec<u8>]) -> String {
    let requests: String = requests.iter().map(|request| format!("  \"{}\",\n", escaped(request))).collect();
    format!(
        "local requests = {{\n{requests}}}\nlocal place = 0\n\
         function request()\n  place = place % #requests + 1\n  return requests[place]\nend\n"
    )
}

fn escaped(bytes: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b' '..=b'~' if !b"\"\\".contains(byte) => char::from(*byte).to_string(),
        _ => format!("\\{byte:03}"),
    };
    bytes.iter().map(escape).collect()
}

fn parse(output: &str) -> Measured {
    assert!(!output.contains("Non-2xx") && !output.contains("Socket errors"), "{output}");
    let after = |mark: &str| {
        let (_, rest) = output.split_once(mark).unwrap_or_else(|| panic!("no {mark:?} in {output}"));
        rest.split_whitespace().next().unwrap_or_default().to_owned()
    };
    let line = output.lines().find(|line| line.contains(" requests in ")).unwrap_or_default();
    let requests = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0);
    assert!(requests > 0.0, "nothing was answered: {output}");
    Measured {
        requests,
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
