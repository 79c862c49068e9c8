//! How far a long command is: a line on the terminal, silence everywhere else.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const REDRAW: Duration = Duration::from_millis(100);
/// Rows between two looks at the clock.
const ROWS_PER_UPDATE: u64 = 1024;

#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    rows: u64,
}

impl Progress {
    /// Rows of an unknown number. `is_in_the_way`: they are shown on the same terminal.
    pub(crate) fn of_rows(is_in_the_way: bool) -> Self {
        let bar = if is_in_the_way { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        Self::shown(bar, "{spinner} {human_pos} rows, {per_sec}, {elapsed}")
    }

    /// A file of so many bytes.
    pub(crate) fn of_bytes(name: &str, bytes: u64) -> Self {
        let bar = ProgressBar::new(bytes).with_prefix(name.to_owned());
        Self::shown(bar, "{prefix} {wide_bar} {percent} % {binary_bytes_per_sec}, {eta} left")
    }

    /// A stream of unknown length.
    pub(crate) fn of_stream(name: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_prefix(name.to_owned());
        Self::shown(bar, "{prefix} {spinner} {binary_bytes}, {binary_bytes_per_sec}, {elapsed}")
    }

    fn shown(bar: ProgressBar, template: &str) -> Self {
        if bar.is_hidden() || !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), rows: 0 };
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.enable_steady_tick(REDRAW);
        Self { bar, rows: 0 }
    }

    pub(crate) fn row(&mut self) {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_UPDATE) {
            self.bar.set_position(self.rows);
        }
    }

    pub(crate) fn reached(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Prints a line to stderr, above the bar where there is one.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
