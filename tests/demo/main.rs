//! The main job on real data, shown step by step: `./dev demo`, and `./dev demo --serve` to look around afterwards.
//!
//! Every `$ sluice …` line is really run, as printed, from the top folder of the checkout.

mod acts;
mod cleanup;
mod published;
mod queries;
mod refusals;
mod stage;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use crate::stage::{Failed, Stage};

const USAGE: &str = "usage: demo [--serve]\n\n  --serve   stay up until Ctrl-C, to look around";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let serve = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--serve"] => true,
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let stage = Stage::new();
    // The harness stops what goes wrong by a panic; people shall see its reason alone.
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(|| play(&stage, serve)))
        .unwrap_or_else(|panic| Err(Failed(reason(&*panic))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            stage.failure(&failed);
            ExitCode::FAILURE
        }
    }
}

fn play(stage: &Stage, serve: bool) -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = root.ok_or("the tests have no folder above them")?;
    std::env::set_current_dir(root)
        .map_err(|error| format!("{} cannot be entered: {error}", root.display()))?;
    acts::play(stage, serve)
}

fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it stopped without a reason")
        .to_owned()
}
