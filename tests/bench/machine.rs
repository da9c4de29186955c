//! Where and with what it was measured, without which no figure means anything.

use std::fs;
use std::process::Command;

use integration_tests::sluice;

/// How busy the machine is without the bench: the mean of runnable processes in the last minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// The date, the versions and the machine in a line. `load` is what [`load`] said before the bench began.
pub fn describe(load: &str) -> String {
    let [date, commit, rustc, kernel] = [
        &["date", "--utc", "+%F"][..],
        &["git", "describe", "--always", "--dirty"],
        &["rustc", "--version"],
        &["uname", "--kernel-release"],
    ]
    .map(|command| said(Command::new(command[0]).args(&command[1..])));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let versions = [
        format!("{} ({commit})", said(sluice().arg("--version"))),
        format!("DuckDB {}", crate::peer::version()),
        format!("wasmtime {}", locked("wasmtime")),
        short(&rustc),
    ];
    format!(
        "{date}, {}; {}, {cores} cores, {:.1} GiB, Linux {kernel}, load {load} before it began",
        versions.join(", "),
        processor(),
        memory()
    )
}

/// `rustc 1.95.0` without the hash of its build.
fn short(version: &str) -> String {
    version.split(" (").next().unwrap_or_default().to_owned()
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("the program is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The version of a crate that the lock file names.
fn locked(name: &str) -> String {
    let lock = fs::read_to_string("Cargo.lock").expect("the checkout has a lock file");
    let mark = format!("name = \"{name}\"\nversion = \"");
    let version = lock
        .split_once(&mark)
        .and_then(|(_, rest)| rest.split_once('"'));
    version.map_or("?", |(version, _)| version).to_owned()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn processor() -> String {
    // Not every architecture names its model.
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn memory() -> f64 {
    let text = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kibibytes: f64 = text.trim_end_matches(" kB").parse().unwrap_or_default();
    kibibytes / f64::from(1 << 20)
}
