//! What `wit-bindgen` makes of the connector interface.

#![allow(clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit/v0.1.0",
    world: "source",
    pub_export_macro: true,
    generate_all,
});

/// What a connector exports beside that for webhooks. A component that exports both is of the world
/// `receiver`.
pub mod receiver {
    wit_bindgen::generate!({
        inline: "package sluice:sdk; world hooks { export sluice:connector/receive@0.1.0; }",
        path: "../../wit/v0.1.0",
        world: "sluice:sdk/hooks",
        pub_export_macro: true,
        with: {
            "sluice:connector/types@0.1.0": crate::bindings::sluice::connector::types,
            "sluice:connector/http@0.1.0": crate::bindings::sluice::connector::http,
        },
    });
}
