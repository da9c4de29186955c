//! Tells the bench and the tests where the DuckDB library lies, which reading extracts without a server needs.

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if let Some(folder) = std::env::var_os("DUCKDB_LIB_DIR")
        && let Ok(folder) = std::fs::canonicalize(folder)
    {
        for target in ["bin=bench", "tests"] {
            let folder = folder.display();
            println!("cargo:rustc-link-arg-{target}=-Wl,-rpath,{folder}");
        }
    }
}
