//! How the demo speaks: numbered headings, commands as they are run, their output below. Colours only on a terminal.

use std::cell::Cell;
use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// The width that everything fits into.
const WIDTH: usize = 100;

/// Why the demo did not go as it should.
#[derive(Debug)]
pub struct Failed(pub String);

impl<T: Into<String>> From<T> for Failed {
    fn from(reason: T) -> Self {
        Self(reason.into())
    }
}

/// What a command shall do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Work.
    Success,
    /// Be refused: exit with 1.
    Refusal,
}

/// Prints.
pub struct Stage {
    colours: bool,
    heading: Cell<u32>,
}

impl Stage {
    /// Colours if standard output is a terminal and `NO_COLOR` is not set.
    pub fn new() -> Self {
        Self {
            colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            heading: Cell::new(0),
        }
    }

    /// The title of it all.
    pub fn title(&self, title: &str, motto: &str) {
        println!("\n{}  {motto}", self.painted("1;36", title));
    }

    /// The next numbered heading.
    pub fn heading(&self, title: &str) {
        self.heading.set(self.heading.get() + 1);
        let text = format!("{}  {title}", self.heading.get());
        let rule = "─".repeat(WIDTH.saturating_sub(text.chars().count() + 4));
        println!("\n{}\n", self.painted("1;36", &format!("── {text} {rule}")));
    }

    /// A paragraph, each line as it stands.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            println!("{line}");
        }
    }

    /// Lines below a command.
    pub fn below(&self, text: &str) {
        for line in text.lines() {
            println!("{}", format!("    {line}").trim_end());
        }
    }

    /// What went as it should although it looks like an error.
    pub fn verdict(&self, text: &str) {
        println!("{}", self.painted("1;32", &format!("  ✓ {text}")));
    }

    /// Why it all ends here.
    pub fn failure(&self, failed: &Failed) {
        eprintln!(
            "\n{} {}",
            self.painted("1;31", "The demo failed:"),
            failed.0
        );
    }

    /// Runs `sluice` with arguments, showing both the command and what it prints.
    pub fn run(
        &self,
        mut sluice: Command,
        arguments: &[&str],
        expect: Expect,
    ) -> Result<(), Failed> {
        self.command(arguments);
        let output = sluice.args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("sluice cannot be started: {error}"))?;
        self.below(&String::from_utf8_lossy(&output.stdout));
        self.below(&String::from_utf8_lossy(&output.stderr));
        judge(arguments, output.status.code(), expect)
    }

    /// Runs `sluice` on this very terminal, so that its progress bar is alive.
    pub fn run_live(
        &self,
        mut sluice: Command,
        arguments: &[&str],
        expect: Expect,
    ) -> Result<(), Failed> {
        self.command(arguments);
        let status = sluice.args(arguments).stdin(Stdio::null()).status();
        let status = status.map_err(|error| format!("sluice cannot be started: {error}"))?;
        judge(arguments, status.code(), expect)
    }

    fn command(&self, arguments: &[&str]) {
        let text = command_line(arguments);
        println!("{}", self.painted("1", &format!("  $ {text}")));
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn judge(arguments: &[&str], code: Option<i32>, expect: Expect) -> Result<(), Failed> {
    let wanted = match expect {
        Expect::Success => 0,
        Expect::Refusal => 1,
    };
    if code == Some(wanted) {
        return Ok(());
    }
    let code = code.map_or_else(|| "a signal".into(), |code| format!("exit code {code}"));
    let command = command_line(arguments);
    Err(Failed(format!(
        "`{command}` ended with {code}; {wanted} was expected."
    )))
}

/// As one would type it, broken between arguments where it grows too long.
fn command_line(arguments: &[&str]) -> String {
    let mut text = String::from("sluice");
    let mut column = text.len() + 4;
    for argument in arguments {
        let word = quoted(argument);
        let first = word.lines().next().unwrap_or_default().chars().count();
        if column + 1 + first > WIDTH - 2 {
            text.push_str(" \\\n     ");
            column = 5;
        }
        text.push(' ');
        text.push_str(&word.replace('\n', "\n      "));
        column += 1 + first;
    }
    text
}

fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else if argument.contains('\'') {
        format!("\"{}\"", argument.replace('"', "\\\""))
    } else {
        format!("'{argument}'")
    }
}
