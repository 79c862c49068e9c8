//! Prints as it goes and writes the same as Markdown.

use std::fmt::Write as _;

#[derive(Debug, Default)]
pub(crate) struct Report(String);

impl Report {
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        println!("{}", line.as_ref());
        writeln!(self.0, "{}", line.as_ref()).expect("a string takes everything");
    }

    pub(crate) fn heading(&mut self, title: &str) {
        self.line(format!("\n## {title}\n"));
    }

    pub(crate) fn row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| cell.as_ref().to_owned()).collect();
        self.line(format!("| {} |", cells.join(" | ")));
    }

    /// A table's first two lines; the first column is text, the others are numbers.
    pub(crate) fn table(&mut self, titles: &[&str]) {
        self.row(titles);
        self.line(format!("|---|{}", "---:|".repeat(titles.len() - 1)));
    }

    pub(crate) fn write(&self, path: &str) {
        let path = djaffar_tests::workspace().join(path);
        std::fs::write(&path, &self.0).expect("the results can be written");
    }
}

/// The middle value; of two, the upper one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Median and range.
pub(crate) fn spread(values: &[f64], decimals: usize) -> String {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.decimals$} [{lowest:.decimals$}-{highest:.decimals$}]", median(values))
}

/// 12345.6 as "12.3k".
pub(crate) fn thousands(value: f64) -> String {
    format!("{:.1}k", value / 1000.0)
}
