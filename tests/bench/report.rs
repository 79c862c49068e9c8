//! Prints as it goes and writes the same as Markdown.

use std::fmt::Write as _;

#[derive(Debug, Default)]
pub(crate) struct Report {
    text: String,
    verdicts: Vec<Verdict>,
}

/// One line of the table that says what was aimed at.
#[derive(Debug)]
struct Verdict {
    figure: String,
    measured: String,
    target: String,
    is_met: bool,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
        }
    }
}

impl Report {
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        println!("{}", line.as_ref());
        writeln!(self.text, "{}", line.as_ref()).expect("a string takes everything");
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

    /// A line of the last table; returns the target's text for the part's own.
    pub(crate) fn judge(
        &mut self,
        figure: impl Into<String>,
        value: f64,
        unit: &str,
        target: Target,
    ) -> String {
        let measured = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        self.verdicts.push(Verdict {
            figure: figure.into(),
            measured: format!("{measured}{unit}"),
            target: format!("{}{unit}", target.text()),
            is_met: target.is_met(value),
        });
        target.text()
    }

    /// The table of all targets.
    pub(crate) fn conclude(&mut self) {
        if self.verdicts.is_empty() {
            return;
        }
        self.heading("Against the targets");
        self.table(&["", "measured", "target", "met"]);
        for Verdict { figure, measured, target, is_met } in std::mem::take(&mut self.verdicts) {
            let met = if is_met { "yes" } else { "**no**" };
            self.row([figure.as_str(), &measured, &target, met]);
        }
    }

    pub(crate) fn write(&self, path: &str) {
        let path = djaffar_tests::workspace().join(path);
        std::fs::write(&path, &self.text).expect("the results can be written");
    }
}

/// The middle value; of two, the upper one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Of sorted values, the one that `share` of them do not exceed.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}

/// Median and range.
pub(crate) fn spread(values: &[f64], decimals: usize) -> String {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.decimals$} [{lowest:.decimals$}-{highest:.decimals$}]", median(values))
}

/// Each value by that of the same round.
pub(crate) fn ratios(values: &[f64], ceilings: &[f64]) -> Vec<f64> {
    values.iter().zip(ceilings).map(|(value, ceiling)| value / ceiling).collect()
}

/// 12345.6 as "12.3k".
pub(crate) fn thousands(value: f64) -> String {
    format!("{:.1}k", value / 1000.0)
}

/// What there is no value of is "-".
pub(crate) fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
