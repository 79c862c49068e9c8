//! Activities as a site would send them: many sessions, long user agents, paths that repeat in part.

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, TimeDelta, Utc};
use shared::event::{Activity, ClientAddress, EventDate, EventId, PagePath, Referer, SessionId, UserAgent};
use uuid::Uuid;

const SESSIONS: u32 = 16_000;
const PAGES: [&str; 8] = [
    "/users/me/cart/",
    "/articles/how-to-keep-a-long-running-service-healthy",
    "/products/category/garden/tools?page=3&sort=price",
    "/",
    "/search?q=blue+running+shoes&filter=size:43",
    "/account/orders/2016/",
    "/help/contact",
    "/products/48151623/reviews#latest",
];
const BROWSERS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
];

/// The same number gives the same activity, but for its id. `start` is the date of number 0.
pub(crate) fn activity(number: u32, start: DateTime<Utc>) -> Activity {
    // Sessions interleave, as they do on a busy site.
    let session = number.wrapping_mul(2_654_435_761) % SESSIONS;
    let date = start + TimeDelta::microseconds(i64::from(number) * 137);
    let page = PAGES[number as usize % PAGES.len()];
    let referer = PAGES[(number / 7) as usize % PAGES.len()];
    Activity {
        id: EventId(Uuid::now_v7()),
        date: EventDate::new(date).expect("a year of today"),
        received_at: EventDate::new(date + TimeDelta::milliseconds(40)).expect("a year of today"),
        session_id: Some(SessionId::new(session_id(session)).expect("a session id")),
        user_id: None,
        ip_address: Some(ClientAddress::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + session * 7)))),
        path: PagePath::new(format!("https://shop.example.com{page}")).expect("a path"),
        referer: Referer::new(format!("https://shop.example.com{referer}"), 2048).expect("a referer"),
        user_agent: UserAgent::from_header(BROWSERS[session as usize % BROWSERS.len()].as_bytes()),
    }
}

/// Time-ordered in its head, random in its tail, as ours are.
fn session_id(session: u32) -> String {
    let tail = u64::from(session).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("0193{session:012x}{tail:016x}")
}
