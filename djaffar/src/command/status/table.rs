//! The report for people.

use std::fmt::Write as _;

use serde_json::Value;
use shared::accounting::Accounting;

use super::report::{Process, Reading, Report, Verdict};
use crate::settings::size::Size;

pub(super) fn render(report: &Report) -> String {
    let mut lines = Vec::new();
    match &report.database {
        Reading::Known(store) => {
            lines.push(format!(
                "{:<24} {:>12} {:>12} {:>12} {:>12} {:>12}",
                "writer", "delivered", "stored", "duplicate", "dead", "suppressed"
            ));
            lines.extend(store.accounting.iter().map(|(writer, accounts)| row(writer, accounts)));
            if store.accounting.len() != 1 {
                lines.push(row("all", &report.total));
            }
            let letters = store.dead_letters;
            lines.push(format!("dead letters   {} ({})", letters.count, Size(letters.bytes)));
        }
        Reading::Unknown(reason) => lines.push(format!("database       unknown: {reason}")),
    }
    lines.push(match &report.queue {
        Reading::Known(queue) => {
            let activities =
                queue.activities.map_or("an unknown number of".to_owned(), |count| count.to_string());
            let bytes = Size(queue.bytes);
            format!(
                "queue          {}: {} frames, {activities} activities, {bytes}",
                queue.name, queue.frames
            )
        }
        Reading::Unknown(reason) => format!("queue          unknown: {reason}"),
    });
    lines.extend(report.processes.iter().map(process));
    lines.push(format!(
        "accounts       delivered = stored + duplicate + dead + suppressed: {}",
        verdict(&report.accounts_close)
    ));
    lines.push(format!(
        "promise        accepted <= delivered + queued + spooled: {}",
        verdict(&report.nothing_missing)
    ));
    lines.extend(report.warnings.iter().map(|warning| format!("warning        {warning}")));
    lines.join("\n")
}

fn row(writer: &str, accounts: &Accounting) -> String {
    format!(
        "{writer:<24} {:>12} {:>12} {:>12} {:>12} {:>12}",
        accounts.delivered, accounts.stored, accounts.duplicate, accounts.dead, accounts.suppressed
    )
}

fn process(process: &Process) -> String {
    let status = match &process.status {
        Reading::Known(status) => status,
        Reading::Unknown(reason) => return format!("process        {} unknown: {reason}", process.url),
    };
    let text =
        |name: &str| status.get(name).and_then(Value::as_str).unwrap_or("?").escape_debug().to_string();
    let ready = if status.get("ready") == Some(&Value::Bool(true)) { "ready" } else { "not ready" };
    let mut line = format!(
        "process        {} {} {}, up {} s, {ready}",
        process.url,
        text("role"),
        text("version"),
        status.get("uptime_seconds").and_then(Value::as_u64).unwrap_or_default()
    );
    if let Some(accepted) = process.accepted() {
        // Writing to a String cannot fail.
        write!(line, ", accepted {accepted}").ok();
        let rejected = status.pointer("/ingest/rejected").and_then(Value::as_object);
        for (reason, count) in rejected.into_iter().flatten() {
            write!(line, ", {} {count}", reason.escape_debug()).ok();
        }
    }
    if process.spooled_frames() > 0 {
        write!(line, ", spooled {} in {} frames", process.spooled(), process.spooled_frames()).ok();
    }
    line
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Holds => "holds".to_owned(),
        Verdict::Broken(reason) => format!("BROKEN, {reason}"),
        Verdict::Unknown(reason) => format!("unknown, {reason}"),
    }
}
