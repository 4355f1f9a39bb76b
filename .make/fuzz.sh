#!/usr/bin/env bash
# Fuzzes what bytes from the outside reach, the policy parser, the T-MQ dialect, and what is binary, with AFL++, all at the
# same time, for as many seconds as the first argument says. Fails on an input that breaks a law of tests/fuzz, or that never ends,
# and keeps and prints it. Progress goes to stderr.
#
# AFL++ comes with cargo-afl, whose package holds its sources: it needs a C compiler and nothing else, and the stable
# compiler's own coverage pass. It is built once, into target/tools/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
cd "$root"

budget=${1:?the seconds to fuzz for}
targets=(binary policy request)
cargo=${CARGO:-cargo}
release=$(sed -n '/^name = "afl"$/{n;s/^version = "\(.*\)"/\1/p;q}' Cargo.lock)
# AFL++'s runtime goes with the compiler that it was built beside.
tools=$root/target/tools/afl-$release-rust-$(rustc --version | cut -d ' ' -f 2)
built=$root/target/fuzz
# Where cargo-afl keeps AFL++; by default in the home folder, which is not ours.
export XDG_DATA_HOME=$tools/share

work=
declare -A running
trap 'for process in "${running[@]}"; do kill "$process" 2>/dev/null || true; done; rm -rf "$work"' EXIT

if [ ! -x "$tools/bin/cargo-afl" ]; then
    mkdir -p "$root/target/tools"
    # Made beside its final place and renamed into it: whoever sees the folder sees it whole.
    work=$(mktemp -d "$root/target/tools/.afl.XXXXXX")
    step "building AFL++ of cargo-afl $release (a minute)"
    XDG_DATA_HOME=$work/afl/share "$cargo" install cargo-afl --version "$release" --locked --root "$work/afl" \
        --target-dir "$work/build" >"$work/log" 2>&1 </dev/null || fail "cannot build it: $(tail -n 3 "$work/log")"
    # Its installation builds AFL++ too, and says nothing where that fails.
    [ -n "$(find "$work/afl/share" -name afl-compiler-rt.o 2>/dev/null)" ] ||
        XDG_DATA_HOME=$work/afl/share PATH=$work/afl/bin:$PATH "$cargo" afl config --build --force --verbose \
            >"$work/log" 2>&1 </dev/null || fail "AFL++ does not build here: $(tail -n 5 "$work/log")"
    chmod 755 "$work/afl"
    mv -T "$work/afl" "$tools" 2>/dev/null || [ -x "$tools/bin/cargo-afl" ] || fail "cannot write $tools"
fi
fuzzer=$(find "$XDG_DATA_HOME" -path '*/bin/afl-fuzz')
export PATH=$tools/bin:$PATH

step "building what is fuzzed, with its coverage counted"
"$cargo" afl build --release --locked --package fuzz --features afl --bins --target-dir "$built" --quiet

# The words of a policy, so that a mutation may put one whole.
mkdir -p "$built/found"
python3 - envoy/policy.schema.json >"$built/words.dict" <<'PYTHON'
import json, sys

def words(schema):
    if isinstance(schema, list):
        return set().union(*map(words, schema))
    if not isinstance(schema, dict):
        return set()
    here = {word for word in [*schema.get("enum", []), schema.get("const")] if isinstance(word, str)}
    return here.union(schema.get("properties", ()), *map(words, schema.values()))

for word in sorted(words(json.load(open(sys.argv[1])))):
    print(json.dumps(json.dumps(word)))
PYTHON

# Of AFL++'s checks those are off that want another machine set-up, for speed alone: the clock's governor, a free core,
# a core dump's handler. A hang is an input that takes ten seconds twice.
export AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_HANG_TMOUT=10000
export AFL_FUZZER_STATS_UPDATE_INTERVAL=5 AFL_NO_UI=1 AFL_NO_COLOR=1 AFL_BENCH_UNTIL_CRASH=1 AFL_CRASHING_SEEDS_AS_NEW_CRASH=1

figure() { sed -n "s/^$2 *: *//p" "$built/$1/default/fuzzer_stats" 2>/dev/null | grep . || echo 0; }
progress() {
    step "$1: $(figure "$1" run_time) s, $(figure "$1" execs_done) inputs, $(figure "$1" execs_per_sec)/s," \
        "$(figure "$1" edges_found) of $(figure "$1" total_edges) edges, $(figure "$1" corpus_count) kept"
}

for target in "${targets[@]}"; do
    rm -rf "${built:?}/$target"
    # No search by comparisons (-c -): it takes half of the time, and what is compared here are words of the dictionaries.
    "$fuzzer" -V "$budget" -c - -G 16384 -x "$built/words.dict" -x "tests/fuzz/$target.dict" \
        -i "tests/fuzz/corpus/$target" -o "$built/$target" "$built/release/fuzz-$target" \
        >"$built/$target.log" 2>&1 </dev/null &
    running[$target]=$!
done
step "fuzzing ${targets[*]} for $budget s"

broken=0
passed=0
while [ "${#running[@]}" -gt 0 ]; do
    sleep 1
    passed=$((passed + 1))
    for target in "${!running[@]}"; do
        if kill -0 "${running[$target]}" 2>/dev/null; then
            [ $((passed % 10)) -ne 0 ] || progress "$target"
            continue
        fi
        wait "${running[$target]}" || broken=1
        unset "running[$target]"
        progress "$target"
        if [ ! -d "$built/$target/default/queue" ] || [ "$(figure "$target" execs_done)" = 0 ]; then
            step "$target did not run: $(tail -n 20 "$built/$target.log")"
            broken=1
        fi
        for input in "$built/$target"/default/{crashes,hangs}/id*; do
            [ -e "$input" ] || continue
            broken=1
            kept=$built/found/$target-$(sha256sum "$input" | cut -c 1-16)
            cp "$input" "$kept"
            step "$target: ${kept#"$root/"} breaks a law; its first bytes, and what is told of it:"
            head -c 512 "$input" | od -A d -t x1z >&2
            timeout 20 "$built/release/fuzz-$target" <"$input" >&2 || true
            step "copied into tests/fuzz/corpus/$target/, cargo test --package fuzz tries it for ever"
        done
    done
done
exit "$broken"
