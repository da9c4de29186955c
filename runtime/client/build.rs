//! Tells the `da` binary where the DuckDB library lies: it is linked dynamically, and nothing starts
//! without it.

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN:$ORIGIN/../lib");
    if let Some(folder) = std::env::var_os("DUCKDB_LIB_DIR")
        && let Ok(folder) = std::fs::canonicalize(folder)
    {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}
