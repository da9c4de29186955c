#!/bin/sh
# What is published of the connectors that are named: each signed, with its software bill of materials, and the digests
# of all, in target/publish. CONNECTOR_KEY holds the private ed25519 key (PEM); without it, one is made for this run.
set -eu
out=target/publish
rm -rf "$out"
mkdir -p "$out"

key=$(mktemp)
trap 'rm -f "$key"' EXIT
if [ -n "${CONNECTOR_KEY:-}" ]; then
    printf '%s\n' "$CONNECTOR_KEY" >"$key"
else
    echo "CONNECTOR_KEY is not set: signing with a key made for this run"
    openssl genpkey -algorithm ed25519 -out "$key"
fi
openssl pkey -in "$key" -pubout -out "$out/publisher.pem"

for name; do
    "$CARGO_TARGET_DIR/debug/sluice" connector sign "$SLUICE_WASM_DIR/$name.wasm" --key "$key" -o "$out/$name.wasm"
    cargo sbom --cargo-package "$name" --output-format cyclone_dx_json_1_6 >"$out/$name.cdx.json"
done
cd "$out"
sha256sum -- * >SHA256SUMS
cat SHA256SUMS
