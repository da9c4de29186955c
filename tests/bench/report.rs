//! What was measured, as a table for people in docs/benchmarks.md and as JSON for later comparisons.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::samples::Samples;

const FILE: &str = "docs/benchmarks.md";

const INTRODUCTION: &str = "\
# Benchmarks

How fast Sluice is, what it is compared with, and where it falls short of its aims. `./dev bench NAME` measures one
section anew and writes it here; nothing in the sections is written by hand. Ours and the peer take turns in the same
minutes on the same machine; the figures are medians, with the smallest and the largest in brackets.
";

/// What is aimed at.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    /// None.
    Nothing,
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// At least this many times what the peer has.
    TimesPeer(f64),
    /// At most this many times what the peer has.
    AtMostTimesPeer(f64),
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// What was done.
    pub work: String,
    /// What Sluice needed, or achieved.
    pub ours: Samples,
    /// The same of the peer.
    pub peer: Option<Samples>,
    /// Of both.
    pub unit: &'static str,
    /// What is aimed at.
    pub aim: Aim,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        let peer = self.peer.as_ref()?;
        Some(self.ours.median() / peer.median())
    }

    fn aim(&self) -> Option<(String, bool)> {
        let ours = self.ours.median();
        match self.aim {
            Aim::Nothing => None,
            Aim::AtLeast(aim) => Some((format!("≥ {}", number(aim)), ours >= aim)),
            Aim::AtMost(aim) => Some((format!("≤ {}", number(aim)), ours <= aim)),
            Aim::TimesPeer(aim) => Some((
                format!("≥ {aim:.1} × peer"),
                self.ratio().is_some_and(|r| r >= aim),
            )),
            Aim::AtMostTimesPeer(aim) => Some((
                format!("≤ {aim:.1} × peer"),
                self.ratio().is_some_and(|r| r <= aim),
            )),
        }
    }

    fn json(&self) -> Value {
        let aim = self.aim();
        json!({
            "work": self.work,
            "ours": self.ours.median(),
            "peer": self.peer.as_ref().map(Samples::median),
            "unit": self.unit,
            "ratio": self.ratio(),
            "aim": aim.as_ref().map(|(text, _)| text),
            "met": aim.as_ref().map(|(_, met)| met),
            "noise": (self.ours.len() > 1).then(|| self.ours.spread()),
        })
    }

    fn markdown(&self) -> String {
        let peer = self.peer.as_ref().map_or_else(|| "–".into(), range);
        let ratio = self
            .ratio()
            .map_or_else(|| "–".into(), |r| format!("{r:.2}"));
        let (aim, met) = match self.aim() {
            None => ("–".into(), "–"),
            Some((text, true)) => (text, "yes"),
            Some((text, false)) => (text, "**no**"),
        };
        let (work, ours, unit) = (&self.work, range(&self.ours), self.unit);
        format!("| {work} | {ours} | {peer} | {unit} | {ratio} | {aim} | {met} |")
    }
}

/// A bench's result.
#[derive(Debug)]
pub struct Report {
    /// As `./dev bench` calls it.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What is done, and what the peer is.
    pub method: &'static str,
    /// The table.
    pub rows: Vec<Row>,
    /// What was noticed.
    pub notes: Vec<String>,
}

impl Report {
    /// As a section of the page.
    pub fn markdown(&self, machine: &str) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.method);
        text.push_str("| work | ours | peer | unit | ours ÷ peer | aim | met |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let _ = writeln!(text, "{}", row.markdown());
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        let _ = writeln!(text, "\n`./dev bench {}`: {machine}.", self.name);
        text
    }

    /// Writes target/bench/NAME.json and this section of docs/benchmarks.md.
    pub fn write(&self, machine: &str) {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let path = format!("target/bench/{}.json", self.name);
        fs::create_dir_all("target/bench").expect("target/bench can be made");
        fs::write(&path, format!("{:#}\n", Value::from(rows))).expect("the figures can be written");
        let page = fs::read_to_string(FILE).unwrap_or_else(|_| INTRODUCTION.to_owned());
        fs::write(FILE, placed(&page, self.name, &self.markdown(machine)))
            .expect("docs/benchmarks.md can be written");
        println!("Written: {path}, {FILE}");
    }
}

/// The page with this section in the place of its former self, or at the end.
fn placed(page: &str, name: &str, section: &str) -> String {
    let (open, close) = (
        format!("<!-- bench {name} -->\n"),
        format!("<!-- end of {name} -->\n"),
    );
    let (before, after) = match (page.find(&open), page.find(&close)) {
        (Some(start), Some(end)) if start < end => {
            (page[..start].to_owned(), &page[end + close.len()..])
        }
        _ => (format!("{}\n\n", page.trim_end()), ""),
    };
    format!("{before}{open}{section}{close}{after}")
}

fn range(samples: &Samples) -> String {
    let [middle, min, max] = [samples.median(), samples.min(), samples.max()].map(number);
    if samples.len() < 2 {
        middle
    } else {
        format!("**{middle}** ({min}–{max})")
    }
}

/// Three significant digits at least, thousands apart.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let whole = text.len() - if decimals > 0 { decimals + 1 } else { 0 };
    let mut grouped = String::new();
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index < whole && (whole - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(character);
    }
    grouped
}
