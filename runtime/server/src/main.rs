//! The binary `sluice`: a confined runner when it is started as one, else the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a runner confines itself while it is a single thread that has opened,
    // read and parsed nothing.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "runner")
    {
        return sandbox::runner_main();
    }
    server::main()
}
