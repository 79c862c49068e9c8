//! What a synced answer and a stored row cost, each against the same work without it.
//!
//! `tests/bench/run` starts it; alone it runs one part: `http`, `rows`, `encodings`.

mod activities;
mod empty_handler;
mod encodings;
mod http;
mod machine;
mod report;
mod rows;
mod wrk;

use std::env;

use report::Report;

#[tokio::main]
async fn main() {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["empty-handler", address] = arguments[..] {
        return empty_handler::serve(address.parse().expect("an address")).await;
    }
    let wanted = |part| arguments.is_empty() || arguments.contains(&part);
    let mut report = Report::default();
    machine::describe(&mut report);
    if wanted("http") {
        http::run(&mut report).await;
    }
    if wanted("rows") {
        rows::run(&mut report).await;
    }
    if wanted("encodings") {
        encodings::run(&mut report);
    }
    if arguments.is_empty() {
        report.write("tests/bench/RESULTS.md");
    }
}
