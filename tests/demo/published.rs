//! What a run left: the tables, the files, and what a program sees of them that knows nothing of Sluice.

use std::fmt::Write as _;
use std::fs::DirEntry;
use std::path::Path;
use std::process::Command;

use crate::acts::Play;
use crate::stage::Expect::Success;
use crate::stage::{Failed, Program};

/// Shows what was published.
pub fn show(play: &Play<'_>) -> Result<(), Failed> {
    play.stage
        .heading("What it published: _meta, and parquet that any DuckDB can read");
    play.run(&["tables"], Success)?;
    let extract = play.folder.join("data/extracts/flights");
    play.stage.say(&format!("\n  {}", extract.display()));
    play.stage.say(&tree(&extract, "  ")?);
    stranger(play, &extract)
}

/// `_meta` as a program sees it that knows nothing of Sluice, where the launcher has installed one.
fn stranger(play: &Play<'_>, extract: &Path) -> Result<(), Failed> {
    const PYTHON: &str = ".tools/py/bin/python";
    let works = Command::new(PYTHON).args(["-c", "import duckdb"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        let text = "  (`./dev setup` installs DuckDB for Python, which would read it here.)";
        play.stage.say(text);
        return Ok(());
    }
    let code = format!(
        "import duckdb\nmeta = duckdb.connect('{}/extract.duckdb', read_only=True)\n\
         print(meta.sql('SELECT table_name, rows, size_bytes, query_mode FROM _meta'))",
        extract.display()
    );
    let python = Program(PYTHON, Command::new(PYTHON));
    play.stage.run(python, &["-c", &code], Success)
}

/// A folder as a tree of names and sizes.
fn tree(folder: &Path, indent: &str) -> Result<String, Failed> {
    let broken = |error| format!("{} cannot be read: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(broken)?;
    let mut entries: Vec<DirEntry> = entries.collect::<Result<_, _>>().map_err(broken)?;
    entries.sort_by_key(DirEntry::file_name);
    let mut text = String::new();
    let last = entries.len();
    for (index, entry) in entries.iter().enumerate() {
        let (mark, bar) = if index + 1 == last {
            ("└─", "   ")
        } else {
            ("├─", "│  ")
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        let about = entry.metadata().map_err(broken)?;
        if about.is_dir() {
            let _ = writeln!(text, "{indent}{mark} {name}/");
            text += &tree(&entry.path(), &format!("{indent}{bar}"))?;
        } else {
            let _ = writeln!(
                text,
                "{indent}{mark} {name}  {} bytes",
                thousands(about.len())
            );
        }
    }
    Ok(text)
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
