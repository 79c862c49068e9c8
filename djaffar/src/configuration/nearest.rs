//! The name that somebody meant.

/// The candidate that is fewest edits away, if that is near enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .min()
        .filter(|(edits, candidate)| *edits <= 2.max(candidate.len() / 3))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes: the names are ASCII.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, left_byte) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, right_byte) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(left_byte != right_byte);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_none() {
        let names = ["listen", "queue", "queue-file", "trusted-proxies"];
        assert_eq!(nearest("lsten", names), Some("listen"));
        assert_eq!(nearest("trusted-proxy", names), Some("trusted-proxies"));
        assert_eq!(nearest("queuefile", names), Some("queue-file"));
        assert_eq!(nearest("colour-of-the-moon", names), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
