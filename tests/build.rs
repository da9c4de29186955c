//! Tells the bench where the DuckDB library lies, which its native side needs.

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if let Some(folder) = std::env::var_os("DUCKDB_LIB_DIR")
        && let Ok(folder) = std::fs::canonicalize(folder)
    {
        println!(
            "cargo:rustc-link-arg-bin=bench=-Wl,-rpath,{}",
            folder.display()
        );
    }
}
