//! A run as it is watched: a live line on a terminal, plain lines elsewhere.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cli::client::text;
use crate::cli::output::{bytes, counted, plain, remark};

/// Often enough to look alive.
const TICK: Duration = Duration::from_millis(100);

/// Shows events.
pub(super) struct Watcher {
    /// `None` where nobody sees a line change.
    bar: Option<ProgressBar>,
    quiet: bool,
    /// What was printed last, so that no line comes twice.
    last: RefCell<String>,
    /// The run, once an event told its end.
    ended: RefCell<Option<Value>>,
}

impl Watcher {
    /// A quiet one only waits for the end.
    pub(super) fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar = shown.then(|| {
            let bar = ProgressBar::new_spinner().with_style(spinner());
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            bar,
            quiet,
            last: RefCell::default(),
            ended: RefCell::default(),
        }
    }

    /// Shows one event of the server.
    pub(super) fn event(&self, name: &str, data: &Value) {
        match name {
            "state" => self.state(&data["run"]),
            "progress" => self.progress(&data["progress"]),
            "log" => {
                let line = &data["line"];
                self.say(&format!(
                    "{:5} {}",
                    text(line, "level"),
                    plain(text(line, "message"))
                ));
            }
            _ => {}
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None if self.quiet => {}
            None => remark(line),
        }
    }

    /// Takes the live line away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The run, if an event told its end.
    pub(super) fn ended(&self) -> Option<Value> {
        self.ended.borrow().clone()
    }

    fn state(&self, run: &Value) {
        let state = text(run, "state");
        if !matches!(state, "queued" | "running") {
            *self.ended.borrow_mut() = Some(run.clone());
        }
        match &self.bar {
            Some(bar) => bar.set_message(state.to_owned()),
            None => self.once(state.to_owned()),
        }
    }

    fn progress(&self, progress: &Value) {
        let line = describe(progress);
        let Some(bar) = &self.bar else {
            // Without a terminal only what the connector says is worth a line of its own.
            let message = plain(text(progress, "message"));
            if !message.is_empty() {
                self.once(message);
            }
            return;
        };
        if let Some(total) = progress["total"].as_u64().filter(|total| *total > 0) {
            if bar.length() != Some(total) {
                bar.set_style(bounded());
                bar.set_length(total);
            }
            bar.set_position(progress["done"].as_u64().unwrap_or_default());
        }
        bar.set_message(line);
    }

    fn once(&self, line: String) {
        let mut last = self.last.borrow_mut();
        if *last != line && !self.quiet {
            remark(&line);
            *last = line;
        }
    }
}

/// The counts of a run and what its connector said, in a line.
fn describe(progress: &Value) -> String {
    let count = |key: &str| progress[key].as_u64().unwrap_or_default();
    let mut parts = vec![
        counted(count("rows"), "row"),
        format!("{} in", bytes(count("bytes_in"))),
        format!("{} out", bytes(count("bytes_out"))),
        counted(count("requests"), "request"),
    ];
    if let Some(percent) = progress["percent"].as_u64() {
        parts.insert(0, format!("{percent} %"));
    }
    if count("rate") > 0 {
        parts.push(format!("{}/s", counted(count("rate"), "row")));
    }
    parts.extend(
        ["table", "message"]
            .map(|key| plain(text(progress, key)).replace('\n', " "))
            .into_iter()
            .filter(|part| !part.is_empty()),
    );
    parts.join(" · ")
}

fn spinner() -> ProgressStyle {
    style("{spinner} {elapsed_precise} {wide_msg}")
}

fn bounded() -> ProgressStyle {
    style("{spinner} {elapsed_precise} [{bar:24}] {pos}/{len} {wide_msg}").progress_chars("█▌ ")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn progress_is_told_in_a_line() {
        let progress = json!({"rows": 12_000, "bytes_in": 2048, "requests": 3, "table": "orders",
            "message": "page 3\nof 5", "done": 3, "total": 5, "percent": 60, "rate": 1_500,
            "bytes_out": 1024});
        assert_eq!(
            describe(&progress),
            "60 % · 12,000 rows · 2 KiB in · 1 KiB out · 3 requests · 1,500 rows/s · orders · page 3 of 5"
        );
    }

    #[test]
    fn the_templates_of_the_live_line_are_valid() {
        for template in [
            "{spinner} {elapsed_precise} {wide_msg}",
            "{spinner} {elapsed_precise} [{bar:24}] {pos}/{len} {wide_msg}",
        ] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
