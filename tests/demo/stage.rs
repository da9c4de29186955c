//! How the demo speaks: numbered headings, commands as they are run, their output below. Colours only on a terminal.

use std::cell::Cell;
use std::io::{BufRead, BufReader, IsTerminal};
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

/// A program, by the name that one types.
pub struct Program(pub &'static str, pub Command);

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

    /// A paragraph as it stands.
    pub fn say(&self, text: &str) {
        println!("{text}");
    }

    /// What a command printed, below it.
    pub fn below(&self, text: &str) {
        for line in text.lines() {
            println!("{}", wrapped(&format!("    {line}")).trim_end());
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

    /// Runs a program with arguments, showing the command and, line by line, what it prints.
    pub fn run(&self, program: Program, arguments: &[&str], expect: Expect) -> Result<(), Failed> {
        let Program(name, mut command) = program;
        let line = self.command(name, arguments);
        let broken = |error: std::io::Error| format!("{name} cannot be run: {error}");
        // One pipe for both outputs, so that their lines come in the order in which they were written.
        let (reader, writer) = std::io::pipe().map_err(broken)?;
        let errors = writer.try_clone().map_err(broken)?;
        command.args(arguments).stdin(Stdio::null());
        let child = command.stdout(writer).stderr(errors).spawn();
        // Otherwise this process keeps the pipe's other end, and reading never ends.
        drop(command);
        let mut child = child.map_err(broken)?;
        for line in BufReader::new(reader).lines() {
            self.below(&line.map_err(broken)?);
        }
        judge(&line, child.wait().map_err(broken)?.code(), expect)
    }

    /// Like [`Stage::run`] for what must work, but on this very terminal, if there is one: its progress bar is alive.
    pub fn run_live(&self, program: Program, arguments: &[&str]) -> Result<(), Failed> {
        if !std::io::stderr().is_terminal() {
            return self.run(program, arguments, Expect::Success);
        }
        let Program(name, mut command) = program;
        let line = self.command(name, arguments);
        let status = command.args(arguments).stdin(Stdio::null()).status();
        let status = status.map_err(|error| format!("{name} cannot be run: {error}"))?;
        judge(&line, status.code(), Expect::Success)
    }

    fn command(&self, name: &str, arguments: &[&str]) -> String {
        let line = command_line(name, arguments);
        println!("{}", self.painted("1", &format!("  $ {line}")));
        line
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn judge(line: &str, code: Option<i32>, expect: Expect) -> Result<(), Failed> {
    let wanted = match expect {
        Expect::Success => 0,
        Expect::Refusal => 1,
    };
    if code == Some(wanted) {
        return Ok(());
    }
    let code = code.map_or_else(|| "a signal".into(), |code| format!("exit code {code}"));
    Err(Failed(format!(
        "`{line}` ended with {code}; {wanted} was expected."
    )))
}

/// As one would type it, broken between arguments where it grows too long.
fn command_line(name: &str, arguments: &[&str]) -> String {
    let mut text = name.to_owned();
    let mut column = text.len() + 4;
    for argument in arguments {
        let word = quoted(argument);
        let length = word.chars().count();
        if word.contains('\n') || column + 1 + length > WIDTH - 2 {
            text.push_str(" \\\n     ");
            column = 5;
        }
        text.push(' ');
        // Behind the quote, so that the lines of SQL stand as they do in its file.
        text.push_str(&word.replace('\n', "\n       "));
        column += 1 + length;
    }
    text
}

/// A line that fits the width, its rest below itself, deeper; broken at spaces only. Drawn lines stay as they are.
fn wrapped(line: &str) -> String {
    if line.chars().count() <= WIDTH || line.contains('─') {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start().len() + 2;
    let mut text = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let length = word.chars().count();
        if column + length > WIDTH + 1 && column > indent {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        }
        text.push_str(word);
        column += length;
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
