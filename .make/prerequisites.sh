#!/usr/bin/env bash
# Names every tool that is missing, with the command that installs it, and fails where there is one.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"

missing=0
need() {
    command -v "$1" >/dev/null && return
    step "$1 is missing: $2"
    missing=1
}

need cc "apt-get install gcc libc6-dev"
need make "apt-get install make"
need python3 "apt-get install python3 python3-venv"
need cargo "install Rust, see https://rustup.rs"

if command -v cargo >/dev/null; then
    oldest=$(sed -n '/^rust-version = /{s/.*"\(.*\)"/\1/p;q}' "$root/Cargo.toml")
    # A toolchain that cannot even tell its version is rustup without a default one.
    found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2 || true)
    if [ -z "$found" ]; then
        step "cargo does not run: rustup default stable"
        missing=1
    elif [ "$(printf '%s\n' "$oldest" "$found" | sort -V | head -n 1)" != "$oldest" ]; then
        step "Rust is $found, older than $oldest: rustup update stable"
        missing=1
    fi
fi
exit "$missing"
