//! What `bindgen!` makes of the connector interface 0.1.0.

wasmtime::component::bindgen!({
    path: "../../wit/v0.1.0",
    world: "source",
    imports: { default: trappable },
    exports: { default: async },
    with: {
        "sluice:connector/http.response": crate::host::http::Response,
        "sluice:connector/tables.table": crate::host::tables::Table,
    },
});

/// The same with the world `receiver`: all that it shares with `source` is that.
pub(crate) mod receiver {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1.0",
        world: "receiver",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "sluice:connector/types": crate::bindings::sluice::connector::types,
            "sluice:connector/http": crate::bindings::sluice::connector::http,
            "sluice:connector/tables": crate::bindings::sluice::connector::tables,
            "sluice:connector/cursors": crate::bindings::sluice::connector::cursors,
            "sluice:connector/run": crate::bindings::sluice::connector::run,
            "sluice:connector/remote": crate::bindings::sluice::connector::remote,
        },
    });
}
