//! The table, and the figures in it.

use std::time::Duration;

/// What was measured.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

struct Line {
    what: String,
    found: String,
    aim: String,
    reached: Option<bool>,
}

impl Report {
    /// Adds a line with an aim, and says it at once: a run takes minutes.
    pub(crate) fn line(&mut self, what: &str, found: String, aim: &str, reached: bool) {
        self.add(what, found, aim, Some(reached));
    }

    /// Adds a line that has no aim.
    pub(crate) fn note(&mut self, what: &str, found: String) {
        self.add(what, found, "", None);
    }

    fn add(&mut self, what: &str, found: String, aim: &str, reached: Option<bool>) {
        eprintln!("    {what}: {found}");
        self.lines.push(Line {
            what: what.to_owned(),
            found,
            aim: aim.to_owned(),
            reached,
        });
    }

    /// Prints everything as a table in Markdown.
    pub(crate) fn print(&self) {
        println!("\n| what | measured | must reach | reached |\n|---|---|---|---|");
        for line in &self.lines {
            let reached = match line.reached {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            };
            println!(
                "| {} | {} | {} | {reached} |",
                line.what, line.found, line.aim
            );
        }
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The time that 95 in 100 stay within.
pub(crate) fn p95(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = (times.len() * 95).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

/// Milliseconds with one decimal.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
