#!/usr/bin/env bash
# Finds a Redis server and prints its path: $REDIS_SERVER, else `redis-server` on the PATH, else Debian's package, unpacked
# under target/tools/. Progress goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
source "$root/.make/debian.sh"

# Prints the path of the Redis server $1 if it runs.
found() { "$1" --version </dev/null 2>/dev/null | grep -q 'Redis server' && command -v "$1"; }

if [ -n "${REDIS_SERVER:-}" ]; then
    found "$REDIS_SERVER" || fail "REDIS_SERVER=$REDIS_SERVER is not a Redis server that runs"
    exit
fi
found redis-server && exit
found "$tools/redis/redis-server" && exit

# The server's program is in redis-tools; the package of its name only starts it.
read_debian redis redis-tools "set REDIS_SERVER to the path of the one you have"
unpack_debian Redis "2 MB" redis-tools
# One program is both the server and the check of its files; which, it tells by the name that it is called by.
mkdir "$tree/program"
ln -s ../usr/bin/redis-check-rdb "$tree/program/redis-server"
wrap_debian redis-server program/redis-server
keep_debian Redis redis-server
found "$tools/redis/redis-server"
