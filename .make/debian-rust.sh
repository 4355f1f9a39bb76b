#!/usr/bin/env bash
# Unpacks Debian's Rust, with which std can be built for any target, and prints the folder that holds its `rustc` and
# `wasm-ld`. Progress goes to stderr.
#
# The packages are unpacked under target/tools/, not installed: that needs no root, and installing them would drive out
# a Rust that came from Debian, `rustup` included. Debian's own signatures guard the download.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"

tools=$root/target/tools
unpacked=$tools/debian-rust
oldest=$(sed -n '/^rust-version = /{s/.*"\(.*\)"/\1/p;q}' "$root/Cargo.toml")

if [ -x "$unpacked/rustc" ]; then
    echo "$unpacked"
    exit
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    fail "no apt-get here, so no Debian packages to build std with"

mkdir -p "$tools"
work=$(mktemp -d "$tools/.debian-rust.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/rust"

# Package lists of its own: the system's may be missing or old, and refreshing them takes root. The download runs as the
# caller (Sandbox::User), since apt's own user cannot write here.
apt=(-qq -o Debug::NoLocking=1 -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
dependency() { apt-cache "${apt[@]}" depends "$1" | sed -n "s/^ *Depends: \($2\)/\1/p" | head -n 1; }

step "reading Debian's package lists"
apt-get "${apt[@]}" update >"$work/apt.log" 2>&1 </dev/null || true
version=$(apt-cache "${apt[@]}" policy rustc-web | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
[ -n "$version" ] || fail "no rustc-web to be had: $(grep -m 1 '^[EW]:' "$work/apt.log" || echo "this system does not package it")"
[ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ] ||
    fail "Debian's rustc-web is $version here, older than the $oldest that AckGuard needs"

std=$(dependency libstd-rust-web-dev 'libstd-rust-web-.*')
llvm=$(dependency "$std" 'libllvm.*')
llvm=${llvm#libllvm}
# lld of the compiler's own LLVM: an older one need not read its objects.
parts=(rustc-web rust-web-src libstd-rust-web-dev "$std" "libllvm$llvm" "lld-$llvm")
# And what apt would install beside them, which is what they need and the system lacks.
mapfile -t needed < <(apt-get "${apt[@]}" --simulate install --no-install-recommends "${parts[@]}" |
    sed -n 's/^Inst \([^ ]*\).*/\1/p')

step "downloading Debian's Rust $version (130 MB)"
(cd "$work/debs" && printf '%s\n' "${parts[@]}" "${needed[@]}" | sort -u | xargs apt-get "${apt[@]}" download) \
    >"$work/apt.log" 2>&1 </dev/null || fail "cannot download it: $(grep -m 1 '^E:' "$work/apt.log")"

for package in "$work"/debs/*.deb; do dpkg-deb --extract "$package" "$work/rust"; done
# Of the sources only those of std are read.
find "$work"/rust/usr/src/rustc-* -mindepth 1 -maxdepth 1 ! -name library -exec rm -rf {} +
libraries=$(cd "$work/rust" && dirname usr/lib/*/librustc_driver-*.so)
# Wrappers, by which the unpacked programs find their unpacked libraries.
wrap() {
    cat >"$work/rust/$1" <<EOF
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
LD_LIBRARY_PATH=\$here/$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec "\$here/$2" "\$@"
EOF
    chmod 755 "$work/rust/$1"
    "$work/rust/$1" --version >/dev/null 2>"$work/apt.log" || fail "Debian's $1 does not run here: $(head -n 1 "$work/apt.log")"
}
wrap rustc usr/bin/rustc
wrap wasm-ld "usr/lib/llvm-$llvm/bin/wasm-ld"

chmod 755 "$work/rust"
mv -T "$work/rust" "$unpacked" 2>/dev/null || [ -x "$unpacked/rustc" ] || fail "cannot write $unpacked"
step "unpacked Debian's Rust $version into ${unpacked#"$root/"}"
echo "$unpacked"
