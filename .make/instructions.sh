#!/usr/bin/env bash
# instructions.sh [--update]: counts the instructions of each exchange of tests/native and prints them. Fails where one takes
# 5 % more or fewer than tests/native/instructions.txt says; with --update it writes that file instead. Progress goes to
# stderr.
#
# A count is what 1,100 exchanges take beyond 100, divided by 1,000: without the program's start. It is cachegrind's, without
# caches, which is lackey's in a tenth of the time. callgrind takes twice as long, and finds 0.3 % fewer in a pull.
#
# How far counts vary, found on glibc 2.36 with an AVX2 processor: not at all in five runs; by 12 instructions with another
# environment; by 0.4 % with another name of the build's profile, which orders the code anew, and less in another folder; by
# at most 0.6 % with other functions of glibc's for copying and comparing (GLIBC_TUNABLES without AVX2, AVX, SSE4, ERMS). So
# nothing of that is held fast. malloc is the filter's own (tests/native/src/bin/exchanges.rs), whatever glibc has.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
cd "$root"
export LC_ALL=C

kept=tests/native/instructions.txt
# What the counts in the file are of.
machine=x86_64
few=100
many=1100
renew='make instructions UPDATE=1'

valgrind=$("$root/.make/valgrind.sh")
release=$(rustc --version | cut -d ' ' -f 2)

step "building the exchanges"
# Flags of the environment's would make other code.
env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS "${CARGO:-cargo}" build --quiet --profile native --locked \
    --package native-bench --bin exchanges
program=${CARGO_TARGET_DIR:-target}/native/exchanges

# Prints how many instructions the program takes for $2 times the exchange $1.
instructions() {
    local told
    told=$("$valgrind" --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 </dev/null) ||
        fail "$1 does not run: $(tail -n 5 <<<"$told")"
    sed -n 's/^==.*I *refs: *//p' <<<"$told" | tr -d , | grep . || fail "Valgrind counts nothing: $told"
}

step "counting the instructions of the exchanges (some 15 s)"
counted=$(mktemp)
trap 'rm -f "$counted"' EXIT
for exchange in $("$program" --list); do
    before=$(instructions "$exchange" "$few")
    after=$(instructions "$exchange" "$many")
    echo "$exchange $(((after - before) / (many - few))) $release" >>"$counted"
done

if [ "${1:-}" = --update ]; then
    [ "$(uname -m)" = "$machine" ] || fail "$kept has the counts of $machine; this is $(uname -m)"
    {
        echo "# Instructions of each exchange on $machine, and the release of rustc that made them: $renew"
        cat "$counted"
    } >"$kept"
    step "wrote $kept"
fi

if [ "$(uname -m)" != "$machine" ]; then
    step "$kept has the counts of $machine: nothing is compared on $(uname -m)"
    awk '{ printf "%-24s %12d\n", $1, $2 }' "$counted"
    exit
fi

grep -v '^#' "$kept" | awk -v release="$release" -v kept="$kept" -v renew="$renew" '
    function tell(text) { print "instructions: " text >"/dev/stderr" }
    function wrong(text) { tell(text); failed = 1 }
    NR == FNR { count[$1] = $2; rustc[$1] = $3; next }
    FNR == 1 { printf "%-24s %12s %12s %8s\n", "exchange", "kept", "now", "change" }
    !($1 in count) { wrong($1 ": " $2 " instructions, and none in " kept ": " renew); next }
    {
        bound = rustc[$1] == release ? 5 : 25
        if (bound == 25 && !told[rustc[$1]]++)
            tell("rustc is " release ", and " kept " of " rustc[$1] ": differences of up to 25 % are let pass")
        change = 100 * ($2 - count[$1]) / count[$1]
        printf "%-24s %12d %12d %+7.1f%%\n", $1, count[$1], $2, change
        if (change > bound)
            wrong(sprintf("%s: %d instructions, %.1f %% more than the %d of %s", $1, $2, change, count[$1], kept))
        if (change < -bound)
            wrong(sprintf("%s: %d instructions, %.1f %% fewer than the %d of %s; keep the gain: %s",
                $1, $2, -change, count[$1], kept, renew))
        delete count[$1]
    }
    END {
        for (name in count) wrong(name ": in " kept ", and no exchange: " renew)
        exit failed
    }' - "$counted"
