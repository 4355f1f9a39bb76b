#!/usr/bin/env bash
# Finds Prometheus and its promtool and prints their paths, a line each: $PROMETHEUS and $PROMTOOL, else those on the PATH,
# else Debian's package, unpacked under target/tools/. Progress goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
source "$root/.make/debian.sh"

# Prints both paths if they run.
found() {
    local server promtool
    server=$(command -v "$1") && promtool=$(command -v "$2") || return 1
    "$server" --version 2>&1 </dev/null | grep -q '^prometheus, version' || return 1
    "$promtool" --version 2>&1 </dev/null | grep -q '^promtool, version' || return 1
    printf '%s\n' "$server" "$promtool"
}

if [ -n "${PROMETHEUS:-}${PROMTOOL:-}" ]; then
    found "${PROMETHEUS:-prometheus}" "${PROMTOOL:-promtool}" ||
        fail "PROMETHEUS=${PROMETHEUS:-prometheus} and PROMTOOL=${PROMTOOL:-promtool} are not both there and running"
    exit
fi
found prometheus promtool && exit
found "$tools/prometheus/prometheus" "$tools/prometheus/promtool" && exit

read_debian prometheus prometheus "set PROMETHEUS and PROMTOOL to the paths of those you have"
unpack_debian Prometheus "20 MB" prometheus
# Two thirds of all: the libraries of its web page, which nobody looks at here.
rm -rf "$tree/usr/share/javascript"
wrap_debian prometheus usr/bin/prometheus
wrap_debian promtool usr/bin/promtool
keep_debian Prometheus promtool
found "$tools/prometheus/prometheus" "$tools/prometheus/promtool"
