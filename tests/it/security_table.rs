//! The page that says how we stand to a security standard, held to the sources: it leaves no requirement out,
//! and what it names as proof is there.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

use crate::tidy::{assert_kept, files, root};

const PAGE: &str = "docs/security.md";

/// The requirements of levels 1 and 2 in OWASP ASVS 5.0: a section, and the numbers in it with those of level 3 left
/// out. Of chapter 10, the sections for everybody, for clients of OAuth and for those of OpenID Connect.
const REQUIREMENTS: [(&str, &[u32]); 22] = [
    ("6.1", &[1, 2, 3]),
    ("6.2", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ("6.3", &[1, 2, 3, 4]),
    ("6.4", &[1, 2, 3, 4]),
    ("6.5", &[1, 2, 3, 4, 5]),
    ("6.6", &[1, 2, 3]),
    ("6.8", &[1, 2, 3, 4]),
    ("7.1", &[1, 2, 3]),
    ("7.2", &[1, 2, 3, 4]),
    ("7.3", &[1, 2]),
    ("7.4", &[1, 2, 3, 4, 5]),
    ("7.5", &[1, 2]),
    ("7.6", &[1, 2]),
    ("8.1", &[1, 2]),
    ("8.2", &[1, 2, 3]),
    ("8.3", &[1]),
    ("8.4", &[1]),
    ("9.1", &[1, 2, 3]),
    ("9.2", &[1, 2, 3, 4]),
    ("10.1", &[1, 2]),
    ("10.2", &[1, 2]),
    ("10.5", &[1, 2, 3, 4, 5]),
];

/// A line of the page's tables.
struct Row {
    requirement: String,
    level: String,
    status: String,
    because: String,
}

impl Row {
    /// The tests that it names: what stands between backticks and looks like a path of modules.
    fn tests(&self) -> Vec<&str> {
        let quoted = self.because.split('`').skip(1).step_by(2);
        quoted.filter(|words| words.contains("::")).collect()
    }

    /// The parts of the page that it leads to.
    fn anchors(&self) -> Vec<&str> {
        let links = self.because.split("](#").skip(1);
        links.filter_map(|link| link.split(')').next()).collect()
    }
}

fn rows(page: &str) -> Vec<Row> {
    page.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
    let [requirement, level, _, status, because] = cells.collect::<Vec<_>>().try_into().ok()?;
    let is_number = requirement.starts_with(|first: char| first.is_ascii_digit());
    is_number.then(|| Row {
        requirement: requirement.to_owned(),
        level: level.to_owned(),
        status: status.to_owned(),
        because: because.to_owned(),
    })
}

fn page() -> String {
    read_to_string(root().join(PAGE)).unwrap()
}

/// Every test of the workspace, by its modules, as the runner prints it.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files(&["runtime", "tests/it"], ".rs") {
        let Some(outer) = modules(&path) else {
            continue;
        };
        let mut modules = outer.clone();
        let text = read_to_string(&path).unwrap();
        let mut is_test = false;
        for line in text.lines() {
            if let Some(module) = inner_module(line) {
                modules.push(module.to_owned());
            } else if line == "}" {
                modules.clone_from(&outer);
            } else if is_test_mark(line) {
                is_test = true;
            } else if let Some(name) = function(line) {
                if is_test {
                    found.insert(format!("{}::{name}", modules.join("::")));
                }
                is_test = false;
            }
        }
    }
    assert!(found.len() > 200, "{found:?}");
    found
}

/// The modules that a file stands for, below its crate; none for a script that builds one.
fn modules(path: &Path) -> Option<Vec<String>> {
    let path = path.with_extension("");
    let parts = path.strip_prefix(root()).unwrap().components();
    let parts = parts.map(|part| part.as_os_str().to_string_lossy().into_owned());
    // As in runtime/server/src/auth/token and tests/it/access.
    let mut modules = parts.skip_while(|part| part != "src" && part != "it");
    modules.next()?;
    Some(
        modules
            .filter(|module| module != "lib" && module != "main")
            .collect(),
    )
}

/// The module that a line begins, if that is not in a file of its own. Those lie at the left margin.
fn inner_module(line: &str) -> Option<&str> {
    let line = line.strip_suffix(" {")?;
    let (before, name) = line.split_once("mod ")?;
    (before.is_empty() || before.starts_with("pub")).then_some(name)
}

fn is_test_mark(line: &str) -> bool {
    let line = line.trim();
    line == "#[test]" || line.starts_with("#[tokio::test")
}

fn function(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// A heading as links to it write it.
fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase();
    plain.replace(' ', "-").replace(',', "")
}

#[test]
fn each_requirement_stands_on_the_page_once() {
    let wanted = REQUIREMENTS.iter().flat_map(|(section, numbers)| {
        numbers
            .iter()
            .map(move |number| format!("{section}.{number}"))
    });
    let listed: Vec<_> = rows(&page())
        .into_iter()
        .map(|row| row.requirement)
        .collect();
    assert_eq!(listed, wanted.collect::<Vec<_>>());
}

#[test]
fn each_requirement_is_met_by_something_that_exists_or_says_why_not() {
    let (page, tests) = (page(), tests());
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let headings: BTreeSet<_> = headings.map(anchor).collect();
    let mut breaches = Vec::new();
    for row in rows(&page) {
        let mut breach =
            |what: String| breaches.push(format!("{PAGE}, {}: {what}", row.requirement));
        if !["1", "2"].contains(&row.level.as_str()) {
            breach(format!("level {}", row.level));
        }
        let named = row.tests().len() + row.anchors().len();
        match row.status.as_str() {
            "met" if named == 0 => {
                breach("met, but neither a test nor a part of the page is named".into())
            }
            "not applicable" | "open" if !row.because.ends_with('.') => {
                breach(format!("{}, without a sentence that says why", row.status));
            }
            "met" | "not applicable" | "open" => {}
            other => breach(format!("`{other}` is no status")),
        }
        for test in row.tests() {
            if !tests.contains(test) {
                breach(format!("there is no test `{test}`"));
            }
        }
        for anchor in row.anchors() {
            if !headings.contains(anchor) {
                breach(format!("there is no part `#{anchor}`"));
            }
        }
    }
    assert_kept(breaches);
}
