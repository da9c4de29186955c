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
