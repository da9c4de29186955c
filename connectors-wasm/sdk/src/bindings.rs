//! What `wit-bindgen` makes of the connector interface.

#![allow(clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit/v0.1.0",
    world: "source",
    pub_export_macro: true,
    generate_all,
});
