#!/bin/sh
# Installs da, the client of @SERVER@, for one user and without root.
# DA_INSTALL_DIR names another folder than ~/.local/bin.
set -eu

server='@SERVER@'
platform='@PLATFORM@'
sha256='@SHA256@'

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

# All in a function: of a script that was cut on its way, nothing runs.
main() {
    folder="${DA_INSTALL_DIR:-$HOME/.local/bin}"
    config="${DA_CONFIG_DIR:-$HOME/.config/da}"
    system="$(uname -s | tr '[:upper:]' '[:lower:]')"
    machine="$(uname -m)"
    [ "$system" = darwin ] && system=macos
    [ "$machine" = arm64 ] && machine=aarch64
    [ "$system-$machine" = "$platform" ] ||
        fail "this server has a client for $platform, and this machine is $system-$machine; build da from its sources"

    mkdir -p "$folder"
    fresh="$folder/.da.$$"
    trap 'rm -f "$fresh"' EXIT
    curl -fsS -o "$fresh" "$server/cli/download" || fail "the download from $server failed"
    if command -v sha256sum >/dev/null 2>&1; then
        found="$(sha256sum "$fresh")"
    else
        found="$(shasum -a 256 "$fresh")"
    fi
    [ "${found%% *}" = "$sha256" ] || fail "what came is not what the server announced; try again"
    chmod 755 "$fresh"
    mv "$fresh" "$folder/da"

    if [ ! -e "$config/config.yaml" ]; then
        (umask 077 && mkdir -p "$config" && printf 'server: %s\n' "$server" >"$config/config.yaml")
    fi
    echo "Installed $folder/da. Next: da login, then da sync"
    case ":$PATH:" in
    *":$folder:"*) ;;
    *) echo "$folder is not in your PATH; add it." ;;
    esac
}

main
