#!/usr/bin/env bash
# wasm.sh [PACKAGE IMPORTS [EXPORTS]]: builds a package of the workspace into target/PACKAGE.wasm with no other imports and
# exports than those that the files list, or with all exports; without arguments, the filter. It takes the first of three
# toolchains that is to be had:
#   1. the wasm target that is installed beside rustc,
#   2. the one that `rustup target add` brings,
#   3. Debian's compiler and its sources of std (debian-rust.sh), where rustup cannot reach its server.
# Progress goes to stderr. Cargo decides what is built again; the file is replaced only where its bytes change.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
cd "$root"

package=${1:-ackguard}
lists=("${@:2}")
[ $# -gt 0 ] || lists=(src/plugin/imports.txt src/plugin/exports.txt)
target=wasm32-unknown-unknown
# An unreachable server must not hold up the build: the target is 20 MB, minutes only on a line too slow to build on.
rustup_seconds=120

installed() { [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; }

add_by_rustup() {
    local log
    command -v rustup >/dev/null || return 1
    step "rustup target add $target"
    if ! log=$(RUSTUP_MAX_RETRIES=1 timeout "$rustup_seconds" rustup target add "$target" 2>&1 </dev/null); then
        step "rustup cannot add it ($(grep -m 1 -E '^error' <<<"$log" || echo "no answer in $rustup_seconds s"))"
        return 1
    fi
    # The rustc on the PATH need not be rustup's.
    installed
}

# Debian's compiler has no wasm target either, but the sources to build std for one.
use_debian() {
    local rust
    rust=$("$root/.make/debian-rust.sh") || fail "the target $target is missing: rustup target add $target"
    toolchain=("RUSTC=$rust/rustc" RUSTC_BOOTSTRAP=1 "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$rust/wasm-ld")
    std=(-Zbuild-std=std,panic_abort)
}

command -v cargo >/dev/null && command -v rustc >/dev/null ||
    fail "cargo and rustc are missing: install Rust, see https://rustup.rs"
toolchain=()
std=()
# Once unpacked, Debian's goes before rustup: its server was out of reach, and asking it again costs a wait each time.
installed || { [ ! -d target/tools/debian-rust ] && add_by_rustup; } || use_debian

# Panic messages hold source paths: without the machine's own folders in them the module is the same wherever it is built.
remap=("--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" "--remap-path-prefix=$root=/ackguard")
# Envoy's V8 compiles all of a module before it serves, in time by the byte. So what is not small is not inlined, nor is a
# loop written out: a seventh of the bytes, by options of LLVM for which Cargo has no words. See docs/performance.md.
llvm=(inline-threshold=25 inlinehint-threshold=100 unroll-runtime=false unroll-full-max-count=3)
flags=$(printf "'%s', " "${remap[@]}" "${llvm[@]/#/-Cllvm-args=-}")
env ${toolchain[@]+"${toolchain[@]}"} cargo build --profile wasm --target "$target" --package "$package" --lib --no-default-features \
    ${std[@]+"${std[@]}"} --config "target.$target.rustflags=[$flags]"

module=target/$package.wasm
mkdir -p target
fresh=$(mktemp "target/.$package.wasm.XXXXXX")
trap 'rm -f "$fresh"' EXIT
cargo run --quiet --package wasm-interface -- \
    "${CARGO_TARGET_DIR:-target}/$target/wasm/$package.wasm" "$fresh" "${lists[@]}"
if ! cmp -s "$fresh" "$module"; then
    # Moved into place, since an Envoy that watches the folder must never see half a module.
    chmod 644 "$fresh"
    mv "$fresh" "$module"
    step "$module, $(($(stat -c %s "$module") / 1024)) KiB"
fi
