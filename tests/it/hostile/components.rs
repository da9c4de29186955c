//! Files that are no connector, or another one than they say.

use integration_tests::{component, outcome, wasm};
use serde_json::json;

use super::world::World;

/// A component that exports something by the right name, and has this beside it.
fn odd(parts: &str) -> Vec<u8> {
    let text = format!(
        "(component {parts} (instance $pull) (export \"sluice:connector/pull@0.1.0\" (instance $pull)))"
    );
    as_connector(&text)
}

fn as_connector(text: &str) -> Vec<u8> {
    let fixtures = std::fs::read(component("fixtures")).unwrap();
    let fixtures = wasm::with_manifest(&fixtures, |manifest| {
        manifest["name"] = json!("odd");
        manifest["settings"] = json!({"type": "object"});
        manifest["egress"] = json!([]);
        manifest["credentials"] = json!([]);
    });
    wasm::with_manifest_of(&wat::parse_str(text).unwrap(), &fixtures)
}

#[test]
fn a_file_that_cannot_be_a_connector_is_refused_at_its_upload() {
    let world = World::start();
    let sign = |bytes: &[u8]| world.app.key.sign_by_hand(bytes);
    let signed = sign(&odd(""));
    let cut = &signed[..signed.len() - 10];
    let mut flipped = signed.clone();
    flipped[20] ^= 1;
    let core = sign(&wasm::with_manifest_of(
        &wat::parse_str("(module)").unwrap(),
        &odd(""),
    ));
    let http = r#"(import "wasi:http/outgoing-handler@0.2.0" (instance (export "handle" (func))))"#;
    let cases = [
        (
            "a core module",
            core,
            "400 this is a WebAssembly core module, not a component",
        ),
        (
            "no export",
            sign(&as_connector("(component)")),
            "400 the component does not export `sluice:connector/pull@0.1.0`",
        ),
        (
            "an import of HTTP",
            sign(&odd(http)),
            "400 the component imports `wasi:http/outgoing-handler@0.2.0`, which connectors do not get",
        ),
        ("a cut file", cut.to_vec(), "400 "),
        ("a flipped bit", flipped, "400 "),
        (
            "no manifest",
            sign(&wat::parse_str("(component)").unwrap()),
            "400 the component has 0 manifest sections instead of one",
        ),
        ("no signature", odd(""), "400 the component is not signed"),
    ];
    let neighbour = world.neighbour();
    for (what, bytes, told) in cases {
        let answer = world.app.upload(&bytes).detail();
        world.is_well_after(what);
        assert!(answer.starts_with(told), "{what}: {answer}");
    }
    world.lets_go(&neighbour);
}

#[test]
fn a_component_of_too_many_parts_fails_its_run() {
    let world = World::start();
    let neighbour = world.neighbour();
    // A module may have a hundred memories or tables, so it takes three of them to have more than 256.
    for (what, module, times) in [
        ("memories", "(memory 0)".repeat(100), 3),
        ("tables", "(table 0 funcref)".repeat(100), 3),
        ("instances", String::new(), 256),
    ] {
        let instances = "(core instance (instantiate $crowd))".repeat(times);
        let text = format!(
            r#"(component
                (core module $exports (func (export "f")))
                (core instance $exports (instantiate $exports))
                (func $f (canon lift (core func $exports "f")))
                (instance $pull (export "check" (func $f)) (export "discover" (func $f)) (export "sync" (func $f)))
                (export "sluice:connector/pull@0.1.0" (instance $pull))
                (core module $crowd {module}) {instances})"#
        );
        let name = format!("many-{what}");
        let named = wasm::with_manifest(&as_connector(&text), |manifest| {
            manifest["name"] = json!(name);
        });
        world.app.install_bytes(&named);
        world.app.add_source(what, &name, &json!({}), &[]);
        let told = outcome(&world.app.run(what));
        world.is_well_after(what);
        assert_eq!(
            told,
            format!("failed (limit): the connector has more than 256 {what}")
        );
    }
    world.lets_go(&neighbour);
}

#[test]
fn a_component_of_another_shape_than_it_says_fails_its_run() {
    let world = World::start();
    let neighbour = world.neighbour();
    let misfit = "failed (config): the connector was built for another interface than it says";
    let vault = r#"(import "sluice:connector/vault@0.1.0" (instance (export "read" (func))))"#;
    let system = r#"(import "wasi:cli/nonsense@0.2.0" (instance (export "shell" (func))))"#;
    for (number, (what, parts)) in [
        ("an empty export", ""),
        ("an import that no host has", vault),
        ("an import that only looks like WASI", system),
    ]
    .into_iter()
    .enumerate()
    {
        let parts = odd(parts);
        let changed = wasm::with_manifest(&parts, |manifest| {
            manifest["name"] = json!(format!("odd-{number}"))
        });
        world.app.install_bytes(&changed);
        let source = format!("odd_{number}");
        world
            .app
            .add_source(&source, &format!("odd-{number}"), &json!({}), &[]);
        let told = outcome(&world.app.run(&source));
        world.is_well_after(what);
        assert!(told.starts_with(misfit), "{what}: {told}");
    }
    world.lets_go(&neighbour);
}
