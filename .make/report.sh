# Sourced by the scripts beside it: how a step and a failure are told, on stderr, a line each.

step() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
fail() {
    step "$*"
    exit 1
}
