//! The one configuration of wasmtime, with which components are compiled and run.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use wasmtime::{Config, Engine, Strategy, WasmFeatures};

/// How often a guest asks whether its time is over.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Stack of a guest: twice the default, since language runtimes recurse deeply.
const STACK: usize = 1 << 20;

/// Proposals that no supported connector needs. What is off cannot be attacked.
const OFF: WasmFeatures = WasmFeatures::THREADS
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_GC);

pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .wasm_features(OFF, false)
        .epoch_interruption(true)
        // Connectors come without names, so a backtrace would be numbers.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // Copy-on-write images need a new descriptor for each memory, which the confined process cannot make.
        .memory_init_cow(false)
        .max_wasm_stack(STACK)
        // wasmtime wants room for host functions on top of the guest's own.
        .async_stack_size(2 * STACK);
    Engine::new(&config)
}

/// Interrupts guests whose time is over, until the process ends. Returns once the thread runs: it needs system calls for
/// its start that are refused afterwards.
pub(crate) fn start_ticker(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.clone();
    let started = Arc::new(Barrier::new(2));
    let here = Arc::clone(&started);
    let tick = move || {
        here.wait();
        loop {
            thread::sleep(TICK);
            engine.increment_epoch();
        }
    };
    thread::Builder::new().name("epoch".into()).spawn(tick)?;
    started.wait();
    Ok(())
}

/// Names what a compiled component depends on: wasmtime's version and settings, and the processor's features. A
/// compiled form is only loaded under the name under which it was compiled.
pub fn engine_name() -> String {
    let Ok(engine) = engine() else {
        // Then nothing can be compiled or loaded, and the runner says why.
        return "wasmtime-unavailable".into();
    };
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("wasmtime-48-{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stays_the_same_as_long_as_the_settings_do() {
        assert_eq!(engine_name(), engine_name());
        assert!(engine_name().starts_with("wasmtime-48-"));
    }

    #[test]
    fn a_module_that_needs_an_unused_proposal_does_not_compile() {
        let engine = engine().unwrap();
        for (proposal, module) in [
            ("threads", "(memory 1 1 shared)"),
            ("memory64", "(memory i64 1)"),
            ("gc", "(type (struct))"),
            ("exceptions", "(tag (param i32))"),
            ("tail calls", "(func return_call 0)"),
        ] {
            let wasm = wat::parse_str(format!("(component (core module {module}))")).unwrap();
            assert!(engine.precompile_component(&wasm).is_err(), "{proposal}");
        }
    }
}
