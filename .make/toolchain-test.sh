#!/usr/bin/env bash
# Proves each way in which `make wasm` finds its toolchain, and what it says where none is to be had.
#
# All happens in a temporary folder: a copy of the repository, and a rustup home with a copy of the toolchain in use.
# The user's own toolchain and target/ are not touched. It takes some minutes and the network.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"

target=wasm32-unknown-unknown
nowhere=http://127.0.0.1:9
cargo_home=${CARGO_HOME:-$HOME/.cargo}
system=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

sysroot=$(rustc --print sysroot)
name=$(basename "$sysroot")
rustup=$(command -v rustup) || fail "rustup is missing, two of the ways rest on it: see https://rustup.rs"
[ -f "$sysroot/lib/rustlib/components" ] || fail "$sysroot is not a toolchain that rustup installed"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
repository=$work/repository
rust=$work/rustup/toolchains/$name
mkdir -p "$repository" "$rust" "$work/few"

step "copying $name"
tar -C "$sysroot" --exclude ./share/doc -cf - . | tar -C "$rust" -xf -
printf 'version = "12"\ndefault_toolchain = "%s"\n' "$name" >"$work/rustup/settings.toml"
tar -C "$root" --exclude ./target --exclude ./.git -cf - . | tar -C "$repository" -xf -

remove_target() { RUSTUP_HOME=$work/rustup RUSTUP_TOOLCHAIN=$name "$rustup" --quiet target remove "$target"; }
[ ! -d "$rust/lib/rustlib/$target" ] || remove_target

# Programs enough to look for a toolchain with, and no apt-get among them.
for program in bash basename dirname env grep head sed; do ln -s "$(command -v $program)" "$work/few/"; done

with_rustup=$(dirname "$rustup"):$system
without_rustup=$rust/bin:$system

# Runs `make wasm`'s script in the copy with the PATH $1 and the further environment that follows.
build() {
    local path=$1
    shift
    env -u RUSTUP_TOOLCHAIN -u CARGO_TARGET_DIR -u RUSTFLAGS -u RUSTC CARGO_HOME="$cargo_home" \
        RUSTUP_HOME="$work/rustup" PATH="$path" "$@" "$repository/.make/wasm.sh" >"$log" 2>&1 </dev/null
}

broken() {
    cat "$log" >&2
    fail "$1: $2"
}
says() { grep -q -F -- "$2" "$log" || broken "$1" "did not say \"$2\""; }
silent() { ! grep -q -F -- "$2" "$log" || broken "$1" "said \"$2\""; }

# The module of the way $1 is there and is one. Removes it, and makes the filter's source newer, so that the next way has
# to build its own.
built() {
    local module=$repository/target/ackguard.wasm
    [ "$(head -c 4 "$module" | od -An -c | tr -d ' ')" = '\0asm' ] || broken "$1" "built no module"
    rm "$module" "$repository/target/$target/wasm/ackguard.wasm"
    touch "$repository/src/lib.rs"
    step "ok: $1"
}

way="rustup adds the target"
build "$with_rustup" || broken "$way" "failed"
says "$way" "rustup target add"
silent "$way" "Debian"
built "$way"

way="the installed target, with rustup's server out of reach"
build "$with_rustup" RUSTUP_DIST_SERVER=$nowhere || broken "$way" "failed"
silent "$way" "rustup target add"
silent "$way" "Debian"
built "$way"

way="the installed target, without rustup"
build "$without_rustup" || broken "$way" "failed"
silent "$way" "Debian"
built "$way"

remove_target
[ ! -d "$rust/lib/rustlib/$target" ] || fail "rustup did not remove the target"

way="nothing to be had"
! build "$rust/bin:$work/few" || broken "$way" "succeeded"
[ "$(tail -n 1 "$log")" = "wasm: the target $target is missing: rustup target add $target" ] || broken "$way" "last line"
step "ok: $way"

way="Debian's sources of std, with rustup's server out of reach"
build "$with_rustup" RUSTUP_DIST_SERVER=$nowhere || broken "$way" "failed"
says "$way" "rustup cannot add it"
says "$way" "unpacked Debian's Rust"
built "$way"

way="Debian's sources of std, without rustup"
build "$without_rustup" || broken "$way" "failed"
silent "$way" "downloading"
built "$way"
