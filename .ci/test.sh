#!/bin/sh
# All tests, or those whose name contains the argument. nextest where there is one: it stops a test that hangs.
set -eu
if ! cargo nextest --version >/dev/null 2>&1; then
    exec cargo test --workspace "$@"
fi
# nextest does not run the examples in the documentation. They go first, since its summary should be the last word.
[ $# -gt 0 ] || cargo test --workspace --doc --quiet
exec cargo nextest run --workspace "$@"
