#!/usr/bin/env bash
# Finds an engine's parts and prints their paths, a line each: dockerd, docker and docker-compose, all from the PATH, else
# Debian's packages, unpacked under target/tools/. Progress goes to stderr. It starts nothing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
source "$root/.make/debian.sh"

programs=(dockerd docker docker-compose)

# Prints the paths of all three if they run. $1 is put before their names.
found() {
    local program paths=()
    for program in "${programs[@]}"; do
        program=$(command -v "$1$program") && "$program" --version >/dev/null 2>&1 </dev/null || return 1
        paths+=("$program")
    done
    printf '%s\n' "${paths[@]}"
}

found "" && exit
found "$tools/docker/" && exit

read_debian docker docker.io "install Docker"
# Debian 13 has the client in a package of its own.
client=$(apt-cache "${apt[@]}" --names-only search '^docker-cli$' | cut -d ' ' -f 1)
unpack_debian Docker "100 MB" docker.io docker-compose containerd runc ${client:+"$client"}
# Containers find each other's names by rules that dockerd writes into each one's own network. An installation makes the link.
[ ! -e "$tree/usr/sbin/xtables-nft-multi" ] || ln -sf xtables-nft-multi "$tree/usr/sbin/iptables"
# What dockerd starts must be found before what the system may have of another release.
parts='PATH=$here/usr/bin:$here/usr/sbin:$PATH; XTABLES_LIBDIR=$libraries/xtables; export PATH XTABLES_LIBDIR'
wrap_debian dockerd "$(cd "$tree" && ls usr/sbin/dockerd usr/bin/dockerd 2>/dev/null | head -n 1)" "$parts"
wrap_debian docker usr/bin/docker
# Debian 12 has the Compose that is written in Python.
wrap_debian docker-compose usr/bin/docker-compose \
    'PYTHONPATH=$here/usr/lib/python3/dist-packages${PYTHONPATH:+:$PYTHONPATH}; export PYTHONPATH'
keep_debian Docker docker-compose
found "$tools/docker/"
