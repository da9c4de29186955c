# What can be done here. Run a recipe through ./dev, which first installs what it needs: `./dev test`.

set positional-arguments
set shell := ["sh", "-euc"]

sluice := '"$CARGO_TARGET_DIR/debug/sluice"'
connectors := "files keboola"
guests := connectors + " fixtures hooks"
measured := "workload"

# list the recipes
default:
    @just --list --unsorted --justfile "{{ justfile() }}"

# see it work on real data; with --serve it stays up
demo *ARGS: guests
    @cargo run --quiet --package integration-tests --bin demo -- "$@"

# run all tests, or those whose name contains the argument
test *ARGS: guests examples
    @sh .ci/test.sh "$@"

# kill a server so many times while sources of every write mode run, and all other faults
faults KILLS="300": guests
    SLUICE_KILLS={{ KILLS }} cargo nextest run --workspace faults:: --no-fail-fast

# run the pure tests, in seconds
test-fast:
    cargo test --package domain --package ingest

# formatting, lints, licences and advisories
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings
    sh .ci/deny.sh

# format the sources
fmt:
    cargo fmt --all

# measure one thing: target/bench/NAME.json, docs/benchmarks.md
bench NAME *ARGS: guests
    {{ sluice }} connector build connectors-wasm/{{ measured }} -o "$SLUICE_WASM_DIR/{{ measured }}.wasm"
    cargo build --release --package server --bins --examples
    cargo run --release --package integration-tests --bin bench -- "$@"

# the API documentation of the crates
docs:
    RUSTDOCFLAGS="--deny warnings" cargo doc --no-deps --workspace --exclude integration-tests

# build the server and the client; .tools/bin/sluice is the server
build:
    cargo build --package server --package client
    @ln -sfn {{ sluice }} .tools/bin/sluice

# build the connectors into components
guests: build
    mkdir -p "$SLUICE_WASM_DIR"
    for x in {{ guests }}; do {{ sluice }} connector build connectors-wasm/$x -o "$SLUICE_WASM_DIR/$x.wasm"; done

# build the examples, in three languages, where they are not up to date
examples: build
    @sh .ci/examples.sh {{ sluice }}

# start a server with its data in ./data
run *ARGS: build
    {{ sluice }} serve --data-dir data "$@"

# what the image holds, as target/dist
dist:
    cargo build --release --package server --package client
    install -D "$CARGO_TARGET_DIR/release/sluice" target/dist/bin/sluice
    install -D "$CARGO_TARGET_DIR/release/da" target/dist/bin/da
    install -D --mode 0644 "$DUCKDB_LIB_DIR/libduckdb.so" target/dist/lib/libduckdb.so
    install -D --mode 0644 LICENSE target/dist/LICENSE

# sign the connectors, with digests and SBOM, into target/publish
publish: guests
    sh .ci/publish.sh {{ connectors }}

# build the container image
image:
    docker build --tag sluice .

# install everything that any recipe needs
setup:
    @echo "Everything is in place."
