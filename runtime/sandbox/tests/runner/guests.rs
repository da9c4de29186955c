//! Components of a few instructions: core modules in text, made into connector files like any other.

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, WorldId};

/// Returns without failure: the result lies at 16, where all is zero.
pub(crate) const RETURNS: &str = "i32.const 16";

/// Logs its settings as an error and returns. `settings` leaves address and length at 32.
pub(crate) const LOGS_SETTINGS: &str = "
    (call $settings (i32.const 32))
    (call $log (i32.const 3) (i32.load (i32.const 32)) (i32.load (i32.const 36)))
    i32.const 16";

/// Fails with `auth`, the second case of `failure`.
pub(crate) const FAILS: &str = "
    (i32.store8 (i32.const 64) (i32.const 1))
    (i32.store8 (i32.const 68) (i32.const 1))
    (i32.store (i32.const 72) (i32.const 48))
    (i32.store (i32.const 76) (i32.const 11))
    i32.const 64";

const MANIFEST: &str = r#"{"wit": "0.1.0", "name": "test", "version": "1.0.0", "title": "", "description": "",
    "worlds": ["source"], "settings": {"type": "object"}}"#;

/// What a language runtime imports, and what the test below calls.
const WASI: &str = r#"
    package test:wasi;
    package wasi:io@0.2.6 {
        interface error { resource error; }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream {
                blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            }
        }
    }
    package wasi:cli@0.2.6 {
        interface environment { get-environment: func() -> list<tuple<string, string>>; }
        interface stdout {
            use wasi:io/streams@0.2.6.{output-stream};
            get-stdout: func() -> output-stream;
        }
    }
    world printing {
        include sluice:connector/source@0.1.0;
        import wasi:cli/environment@0.2.6;
        import wasi:cli/stdout@0.2.6;
    }
"#;

/// A connector file whose `check` has this body.
pub(crate) fn component(check: &str) -> Vec<u8> {
    build("", check, |resolve, package| {
        resolve
            .select_world(&[package], Some("source"))
            .expect("there is `source`")
    })
}

/// A connector file that crashes where it finds an environment, and prints.
pub(crate) fn wasi() -> Vec<u8> {
    let imports = r#"
        (import "wasi:cli/environment@0.2.6" "get-environment" (func $environment (param i32)))
        (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $stdout (result i32)))
        (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush"
            (func $print (param i32 i32 i32 i32)))"#;
    let check = "
        (call $environment (i32.const 128))
        (if (i32.load (i32.const 132)) (then unreachable))
        (call $print (call $stdout) (i32.const 48) (i32.const 11) (i32.const 160))
        i32.const 16";
    build(imports, check, |resolve, _| {
        let package = resolve
            .push_str("wasi.wit", WASI)
            .expect("the test's interface parses");
        resolve
            .select_world(&[package], Some("printing"))
            .expect("there is `printing`")
    })
}

/// A component that instantiates a module with these parts so many times, beside one that is there for its exports.
pub(crate) fn crowd(module: &str, times: usize) -> Vec<u8> {
    let instances = "(core instance (instantiate $crowd))".repeat(times);
    let text = format!(
        r#"(component
            (core module $exports (func (export "f")))
            (core instance $exports (instantiate $exports))
            (func $f (canon lift (core func $exports "f")))
            (instance $pull (export "check" (func $f)) (export "discover" (func $f)) (export "sync" (func $f)))
            (export "sluice:connector/pull@0.1.0" (instance $pull))
            (core module $crowd {module})
            {instances})"#
    );
    wat::parse_str(text).expect("the text is a component")
}

fn build(
    imports: &str,
    check: &str,
    world: impl FnOnce(&mut Resolve, PackageId) -> WorldId,
) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "sluice:connector/run@0.1.0" "settings" (func $settings (param i32)))
            (import "sluice:connector/run@0.1.0" "log" (func $log (param i32 i32 i32)))
            {imports}
            (memory (export "memory") 2)
            (table 1 funcref)
            (data (i32.const 48) "no such key")
            (global $free (mut i32) (i32.const 1024))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
            (func $check (export "sluice:connector/pull@0.1.0#check") (result i32) {check})
            (func (export "sluice:connector/pull@0.1.0#discover") (result i32) i32.const 16)
            (func (export "sluice:connector/pull@0.1.0#sync") (param i32 i32) (result i32) i32.const 16)
        )"#
    );
    let mut module = wat::parse_str(text).expect("the text is a module");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1.0");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(folder).expect("the interface parses");
    let world = world(&mut resolve, package);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the world is embedded");
    sandbox::artifact::assemble(&module, MANIFEST.as_bytes()).expect("it is a connector")
}
