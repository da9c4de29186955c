#!/bin/sh
# Builds the example connectors with the program $1. The tools of Python and JavaScript take half a minute each, so what
# is newer than all that it is made of stays.
set -eu
mkdir -p "$SLUICE_WASM_DIR"
for language in rust python javascript; do
    target=$SLUICE_WASM_DIR/example-$language.wasm
    if [ -e "$target" ] && [ "$language" != rust ] &&
        [ -z "$(find connectors-wasm/examples/$language connectors-wasm/sdk wit -newer "$target" -type f)" ]; then
        continue
    fi
    "$1" connector build "connectors-wasm/examples/$language" -o "$target"
done
