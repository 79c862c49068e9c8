//! Browsers under load: each posts log requests one after another and keeps a journal; some were
//! offline for a while and send batches.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::batch::{Coding, batch_request};
use crate::journal::{Answer, Journal, Sent};

const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Most activities of one batch.
const BATCH_MAX: usize = 20;
/// Then a browser goes to the next target, so that a replica that was away has work again.
const REQUESTS_PER_CONNECTION: u32 = 20;
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// One HTTP/1.1 connection.
#[derive(Debug)]
pub struct Connection(BufStream<TcpStream>);

/// Status, headers (names in lower case) and body.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The session cookie that this answer sets, as a `Cookie` header sends it back.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.header("set-cookie")?.split(';').next()
    }

    fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufStream::new(stream)))
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Reads one response, whose body has a `Content-Length` or is empty.
    pub async fn receive(&mut self) -> io::Result<Response> {
        let status_line = self.line().await?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, status_line.clone()))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        let length = response.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        response.body.resize(length, 0);
        self.0.read_exact(&mut response.body).await?;
        Ok(response)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// One request on a connection of its own.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Response> {
    let mut connection = Connection::open(address).await?;
    connection.send(request).await?;
    timeout(ANSWER_LIMIT, connection.receive()).await?
}

/// The bytes of one log request.
#[must_use]
pub fn log_request(id: Uuid, date: DateTime<Utc>, path: &str, cookie: Option<&str>) -> Vec<u8> {
    let date = date.to_rfc3339_opts(SecondsFormat::Micros, true);
    let body = format!("id={id}&date={date}&path={path}&referer=http://example.com/");
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    format!(
        "POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\nUser-Agent: load/1.0\r\n{cookie}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Browsers that go on until they are asked to finish.
#[derive(Debug)]
pub struct Load {
    control: Arc<Control>,
    browsers: Vec<OwnedTask<Journal>>,
}

#[derive(Debug)]
struct Control {
    begun: Instant,
    accepted: AtomicU64,
    /// Both in microseconds, the first since `begun`.
    last_accepted: AtomicU64,
    longest_stall: AtomicU64,
    longest_answer: AtomicU64,
    told_to_retry: AtomicU64,
    finishing: AtomicBool,
    given_up: AtomicBool,
}

impl Control {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            accepted: AtomicU64::default(),
            last_accepted: AtomicU64::default(),
            longest_stall: AtomicU64::default(),
            longest_answer: AtomicU64::default(),
            told_to_retry: AtomicU64::default(),
            finishing: AtomicBool::default(),
            given_up: AtomicBool::default(),
        }
    }

    fn accept(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let now = micros(self.begun.elapsed());
        let before = self.last_accepted.fetch_max(now, Ordering::Relaxed);
        self.longest_stall.fetch_max(now.saturating_sub(before), Ordering::Relaxed);
    }
}

impl Load {
    /// Browsers that spread over the targets and, when one fails, go to the next.
    #[must_use]
    pub fn start(targets: &[SocketAddr], browsers: usize) -> Self {
        let control = Arc::new(Control::new());
        let start = |number| {
            let browser = Browser {
                number,
                targets: targets.to_vec(),
                next_target: number,
                connection: None,
                cookie: None,
                control: Arc::clone(&control),
                journal: Journal::default(),
            };
            spawn_owned(browser.run())
        };
        let browsers = (0..browsers).map(start).collect();
        Self { control, browsers }
    }

    /// Log requests accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.control.accepted.load(Ordering::Relaxed)
    }

    /// Answers 503 so far.
    #[must_use]
    pub fn told_to_retry(&self) -> u64 {
        self.control.told_to_retry.load(Ordering::Relaxed)
    }

    /// Waits until that many more are accepted.
    pub async fn progress(&self, more: u64) {
        let goal = self.accepted() + more;
        let what = format!("{more} more accepted log requests");
        crate::wait_until(&what, Duration::from_secs(120), || async { self.accepted() >= goal }).await;
    }

    /// Lets every browser retry its last request until it is accepted, and stops.
    ///
    /// # Panics
    /// A browser has died.
    pub async fn finish(self) -> Journal {
        self.control.finishing.store(true, Ordering::Relaxed);
        let mut journal = Journal::default();
        for browser in self.browsers {
            journal.extend(browser.join().await.expect("browsers do not die"));
        }
        journal.longest_answer = Duration::from_micros(self.control.longest_answer.load(Ordering::Relaxed));
        journal.longest_stall = Duration::from_micros(self.control.longest_stall.load(Ordering::Relaxed));
        journal
    }

    /// Stops without further retries: what has no answer yet stays unclear.
    pub async fn give_up(self) -> Journal {
        self.control.given_up.store(true, Ordering::Relaxed);
        self.finish().await
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

struct Browser {
    number: usize,
    targets: Vec<SocketAddr>,
    next_target: usize,
    connection: Option<Connection>,
    cookie: Option<String>,
    control: Arc<Control>,
    journal: Journal,
}

impl Browser {
    async fn run(mut self) -> Journal {
        let mut count = 0_u32;
        while !self.control.finishing.load(Ordering::Relaxed) {
            count += 1;
            if count.is_multiple_of(REQUESTS_PER_CONNECTION) {
                self.connection = None;
                self.next_target += 1;
            }
            let sent = self.log(self.activities(count)).await;
            self.journal.sent.extend(sent);
        }
        self.journal
    }

    fn sends_batches(&self) -> bool {
        self.number % 4 == 3
    }

    /// What the next request logs.
    fn activities(&self, count: u32) -> Vec<Sent> {
        let number = if self.sends_batches() { rand::random_range(1..=BATCH_MAX) } else { 1 };
        let activity = |place| {
            // Over two months, so that several partitions are in play.
            let age = TimeDelta::seconds(i64::from(rand::random_range(0..60 * 24 * 3600)));
            Sent {
                id: Uuid::new_v4(),
                date: (shared::time::now() - age).trunc_subsecs(6),
                path: format!("/browser/{}/{count}/{place}", self.number),
                session: None,
                answer: Answer::Unclear,
            }
        };
        (0..number).map(activity).collect()
    }

    /// One request with its retries: same ids, same dates.
    async fn log(&mut self, mut activities: Vec<Sent>) -> Vec<Sent> {
        let mut answer = Answer::Unclear;
        let mut sessions = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(180);
        while answer == Answer::Unclear && Instant::now() < deadline {
            let begun = Instant::now();
            let status = match self.attempt(&activities).await {
                Ok(response) => {
                    self.control.longest_answer.fetch_max(micros(begun.elapsed()), Ordering::Relaxed);
                    if response.status == 200 {
                        let all = format!(r#"{{"accepted":{},"rejected":[]}}"#, activities.len());
                        assert_eq!(String::from_utf8_lossy(&response.body), all);
                    }
                    if let Some(cookie) = response.cookie() {
                        self.cookie = Some(cookie.to_owned());
                    }
                    if response.status == 503 {
                        assert!(response.header("retry-after").is_some(), "{response:?}");
                        self.control.told_to_retry.fetch_add(1, Ordering::Relaxed);
                    }
                    response.status
                }
                Err(_) => 0,
            };
            if status == 0 && self.connection.is_none() {
                self.journal.refused += 1;
            } else {
                *self.journal.attempts.entry(status).or_default() += 1;
            }
            sessions.push(self.cookie.clone());
            match status {
                200..300 => answer = Answer::Accepted,
                400..500 if status != 408 => answer = Answer::Rejected,
                _ => {
                    self.connection = None;
                    self.next_target += 1;
                    if self.control.given_up.load(Ordering::Relaxed) {
                        break;
                    }
                    sleep(RETRY_DELAY).await;
                }
            }
        }
        if answer == Answer::Accepted {
            self.control.accept();
        }
        // The first write wins: only one attempt, or attempts under one cookie, tell the session.
        let told = sessions.iter().all(|session| session == &sessions[0]);
        let session = if told { self.session() } else { None };
        for sent in &mut activities {
            sent.session.clone_from(&session);
            sent.answer = answer;
        }
        activities
    }

    fn request(&self, activities: &[Sent]) -> Vec<u8> {
        let cookie = self.cookie.as_deref();
        match activities {
            [one] if !self.sends_batches() => log_request(one.id, one.date, &one.path, cookie),
            many => {
                let coding = if many.len() % 2 == 0 { Coding::Zstd } else { Coding::Identity };
                batch_request(many, coding, cookie)
            }
        }
    }

    async fn attempt(&mut self, activities: &[Sent]) -> io::Result<Response> {
        let target = self.targets[self.next_target % self.targets.len()];
        let request = self.request(activities);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(target).await?),
        };
        connection.send(&request).await?;
        let response = timeout(ANSWER_LIMIT, connection.receive()).await.map_err(io::Error::from)??;
        if response.closes() {
            self.connection = None;
        }
        Ok(response)
    }

    /// The session id that the cookie starts with.
    fn session(&self) -> Option<String> {
        let (_, value) = self.cookie.as_deref()?.split_once('=')?;
        Some(value.get(..32)?.to_owned())
    }
}
