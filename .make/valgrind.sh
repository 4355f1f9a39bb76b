#!/usr/bin/env bash
# Finds Valgrind and prints its path: $VALGRIND, else `valgrind` on the PATH, else Debian's package, unpacked under
# target/tools/. Progress goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
source "$root/.make/debian.sh"

# Prints the path of the Valgrind $1 if it counts the instructions of a program: where its own libraries are missing it
# still tells its version.
found() {
    "$1" --tool=cachegrind --cachegrind-out-file=/dev/null true 2>&1 </dev/null | grep -q 'I *refs:' && command -v "$1"
}

if [ -n "${VALGRIND:-}" ]; then
    found "$VALGRIND" || fail "VALGRIND=$VALGRIND is not a Valgrind that runs"
    exit
fi
found valgrind && exit
found "$tools/valgrind/valgrind" && exit

read_debian valgrind valgrind "set VALGRIND to the path of the one you have"
unpack_debian Valgrind "22 MB" valgrind
# Only memcheck needs the symbols of the C library, which the package brings; nor may a C library that came with them be
# loaded in place of the system's.
rm -rf "$tree/lib" "$tree/usr/lib"
wrap_debian valgrind usr/bin/valgrind.bin 'export VALGRIND_LIB="$here/usr/libexec/valgrind"'
keep_debian Valgrind valgrind
found "$tools/valgrind/valgrind" || fail "Debian's Valgrind counts nothing here; set VALGRIND to the path of another"
