#!/usr/bin/env bash
# Finds a Redis server and prints its path: $REDIS_SERVER, else `redis-server` on the PATH, else Debian's package, unpacked
# under target/tools/. Progress goes to stderr.
#
# Unpacking needs no root. Debian keeps no release of a package but the newest, so what is pinned is the package, whose
# download Debian's own signatures guard, and not its version.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"

tools=$root/target/tools
unpacked=$tools/redis

# Prints the path of the Redis server $1 if it runs.
found() { "$1" --version </dev/null 2>/dev/null | grep -q 'Redis server' && command -v "$1"; }

if [ -n "${REDIS_SERVER:-}" ]; then
    found "$REDIS_SERVER" || fail "REDIS_SERVER=$REDIS_SERVER is not a Redis server that runs"
    exit
fi
found redis-server && exit
found "$unpacked/redis-server" && exit
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    fail "no apt-get here to fetch Redis with: set REDIS_SERVER to the path of the one you have"

mkdir -p "$tools"
# Made beside its final place and renamed into it: whoever sees the folder sees it whole, however many run this.
work=$(mktemp -d "$tools/.redis.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/redis"

# Package lists of its own: the system's may be missing or old, and refreshing them takes root. The download runs as the
# caller (Sandbox::User), since apt's own user cannot write here.
apt=(-qq -o Debug::NoLocking=1 -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)

step "reading Debian's package lists"
apt-get "${apt[@]}" update >"$work/apt.log" 2>&1 </dev/null || true
version=$(apt-cache "${apt[@]}" policy redis-tools | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p')
[ -n "$version" ] ||
    fail "no redis-tools to be had: $(grep -m 1 '^[EW]:' "$work/apt.log" || echo "this system does not package it")"

# The server's program is in redis-tools; the package of its name only starts it. And what apt would install beside it,
# which is the libraries that it needs and the system lacks.
mapfile -t needed < <(apt-get "${apt[@]}" --simulate install --no-install-recommends redis-tools |
    sed -n 's/^Inst \([^ ]*\).*/\1/p')
step "downloading Debian's Redis $version (2 MB)"
(cd "$work/debs" && printf '%s\n' redis-tools "${needed[@]}" | sort -u | xargs apt-get "${apt[@]}" download) \
    >"$work/apt.log" 2>&1 </dev/null || fail "cannot download it: $(grep -m 1 '^E:' "$work/apt.log")"
for package in "$work"/debs/*.deb; do dpkg-deb --extract "$package" "$work/redis"; done

# One program does both; which, it tells by the name that it is called by.
mkdir "$work/redis/program"
ln -s ../usr/bin/redis-check-rdb "$work/redis/program/redis-server"
# A wrapper, by which the unpacked program finds its unpacked libraries.
cat >"$work/redis/redis-server" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$(echo "$here"/usr/lib/*-linux-gnu*)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$here/program/redis-server" "$@"
WRAPPER
chmod 755 "$work/redis/redis-server"
found "$work/redis/redis-server" >/dev/null ||
    fail "Debian's Redis does not run here: $("$work/redis/redis-server" --version 2>&1 | head -n 1)"

chmod 755 "$work/redis"
mv -T "$work/redis" "$unpacked" 2>/dev/null || [ -x "$unpacked/redis-server" ] || fail "cannot write $unpacked"
step "unpacked Debian's Redis $version into ${unpacked#"$root/"}"
echo "$unpacked/redis-server"
