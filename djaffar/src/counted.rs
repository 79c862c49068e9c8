//! Numbers of things, for people.

/// "1 activity", "2 activities".
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
