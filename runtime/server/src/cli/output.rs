//! What people see: results on standard output, errors with a hint on standard error, tables that fit
//! their content.

use std::fmt::Write as _;
use std::io::Write as _;

/// What a command returns.
pub(crate) type CliResult<T> = Result<T, CliError>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct CliError {
    /// What was wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl CliError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// From an error of another crate, which says what was wrong and, behind a semicolon, what to do.
    pub(crate) fn advised(error: &(dyn std::error::Error + 'static)) -> Self {
        let text = error.to_string();
        let (what, advice) = match text.split_once("; ") {
            Some((what, advice)) => (what, Some(advice.to_owned())),
            None => (text.as_str(), None),
        };
        // What lies deeper repeats it in more technical words.
        let cause = error.source().map(|cause| format!(": {cause}"));
        Self {
            message: format!("{what}{}", cause.unwrap_or_default()),
            hint: advice,
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// A line of result. Whoever reads may have gone, as `head` does; that is no failure.
pub(crate) fn say(line: impl AsRef<str>) {
    print(&format!("{}\n", line.as_ref()));
}

/// Text without a line end.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A remark that is not a result.
pub(crate) fn remark(line: impl AsRef<str>) {
    ask(&format!("{}\n", line.as_ref()));
}

/// A question; the answer is typed behind it.
pub(crate) fn ask(question: &str) {
    let _ = std::io::stderr().lock().write_all(question.as_bytes());
}

/// Tells why a command failed.
pub(crate) fn fail(error: &CliError) {
    remark(format!("error: {}", plain(&error.message)));
    if let Some(hint) = &error.hint {
        remark(format!("hint: {}", plain(hint)));
    }
}

/// Text of strangers without what could steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Columns that are as wide as their widest cell, under a line of headings.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|cell| plain(cell).replace(['\n', '\t'], " "))
                .collect()
        })
        .collect();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = cells.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| width(cell))
                .chain([width(heading)])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    let headings: Vec<String> = headings.iter().map(ToString::to_string).collect();
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    for row in [&headings, &rule].into_iter().chain(&cells) {
        let mut line = String::new();
        for (cell, width_of_column) in row.iter().zip(&widths) {
            let gap = width_of_column.saturating_sub(width(cell)) + 2;
            let _ = write!(line, "{cell}{}", " ".repeat(gap));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

/// A count with its digits in groups: `1,234,567`.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of a thing: `1 row`, `2 rows`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", number(count))
}

/// The first letters of a text, with a mark where it goes on.
pub(crate) fn shorten(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Bytes in the largest unit that leaves at least one: `1.5 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut tenths = u128::from(count) * 10;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if tenths < 10_240 {
            return match (unit, tenths % 10) {
                ("B", _) | (_, 0) => format!("{} {unit}", tenths / 10),
                (_, rest) => format!("{}.{rest} {unit}", tenths / 10),
            };
        }
        tenths /= 1024;
    }
    format!("{}.{} TiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_another_crate_is_split_into_what_and_what_to_do() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open `x`; choose another")]
        struct Outer(#[source] std::io::Error);
        let error = CliError::advised(&Outer(std::io::Error::other("denied")));
        assert_eq!(error.message, "cannot open `x`: denied");
        assert_eq!(error.hint.as_deref(), Some("choose another"));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".into(), "1".into()],
            vec!["long".into(), "22".into()],
        ];
        assert_eq!(
            table(&["name", "n"], &rows),
            "name  n\n────  ──\na     1\nlong  22\n"
        );
    }

    #[test]
    fn text_of_strangers_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[31mb"), "a\u{fffd}[31mb");
        let rows = [vec!["a\nb\x07".into()]];
        assert!(table(&["x"], &rows).ends_with("a b\u{fffd}\n"));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(2, "row"), "2 rows");
        assert_eq!(shorten("äöü", 2), "äö…");
        assert_eq!(shorten("äö", 2), "äö");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 20), "5 MiB");
        assert_eq!(bytes(3 << 40), "3.0 TiB");
    }
}
