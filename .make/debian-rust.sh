#!/usr/bin/env bash
# Unpacks Debian's Rust, with which std can be built for any target, and prints the folder that holds its `rustc` and
# `wasm-ld`. Progress goes to stderr.
#
# Installing the packages would drive out a Rust that came from Debian, `rustup` included.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
source "$root/.make/debian.sh"

unpacked=$tools/debian-rust
oldest=$(sed -n '/^rust-version = /{s/.*"\(.*\)"/\1/p;q}' "$root/Cargo.toml")

if [ -x "$unpacked/rustc" ]; then
    echo "$unpacked"
    exit
fi
dependency() { apt-cache "${apt[@]}" depends "$1" | sed -n "s/^ *Depends: \($2\)/\1/p" | head -n 1; }

read_debian debian-rust rustc-web "std cannot be built for the target"
[ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ] ||
    fail "Debian's rustc-web is $version here, older than the $oldest that AckGuard needs"

std=$(dependency libstd-rust-web-dev 'libstd-rust-web-.*')
llvm=$(dependency "$std" 'libllvm.*')
llvm=${llvm#libllvm}
# lld of the compiler's own LLVM: an older one need not read its objects.
parts=(rustc-web rust-web-src libstd-rust-web-dev "$std" "libllvm$llvm" "lld-$llvm")
unpack_debian Rust "130 MB" "${parts[@]}"
# Of the sources only those of std are read.
find "$tree"/usr/src/rustc-* -mindepth 1 -maxdepth 1 ! -name library -exec rm -rf {} +
wrap_debian rustc usr/bin/rustc
wrap_debian wasm-ld "usr/lib/llvm-$llvm/bin/wasm-ld"
keep_debian Rust rustc
echo "$unpacked"
