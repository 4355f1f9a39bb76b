#!/usr/bin/env bash
# Makes the images of envoy/compose/stand-in.yaml and loads them into the engine that $DOCKER reaches: one tree of Debian's
# packages, of the release that runs here, since the programs were built or found here, and one program or two on top of it.
# Progress goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
source "$root/.make/debian.sh"
docker=${DOCKER:-docker}
built=${CARGO_TARGET_DIR:-$root/target}

# What the health checks of the compose file call, and the libraries of the programs.
packages=(bash coreutils findutils grep libgcc-s1)

# In a shell of its own, which removes what it leaves.
unpack_base() (
    read_debian base coreutils "images can be made on Debian and its kin alone"
    # As if nothing were installed: all that the packages need comes with them.
    apt+=(-o Dir::State::status=/dev/null)
    unpack_debian "base packages, coreutils" "10 MB" "${packages[@]}"
    ln -sf bash "$tree/bin/sh"
    rm -rf "$tree"/usr/share/{doc,info,locale,man}
    keep_debian coreutils bin/ls
)
[ -x "$tools/base/bin/ls" ] || unpack_base

work=$(mktemp -d "$tools/.images.XXXXXX")
trap 'rm -rf "$work"' EXIT

# image NAME PROGRAM… [-- CHANGE…]: the base with the programs in /usr/local/bin. A change is an instruction of a Dockerfile.
image() {
    local name=$1 changes=() change
    shift
    tree=$work/$name
    # Links cost no space.
    cp --archive --link "$tools/base" "$tree"
    mkdir -p "$tree/usr/local/bin"
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        cp --link --dereference "$1" "$tree/usr/local/bin/" 2>/dev/null || cp --dereference "$1" "$tree/usr/local/bin/"
        shift
    done
    [ $# -eq 0 ] || shift
    for change in "$@"; do
        changes+=(--change "$change")
        # A new named volume takes its mode from here; who runs is told by the compose file.
        case $change in
            "VOLUME "*)
                mkdir -p "$tree/${change#VOLUME /}"
                chmod 1777 "$tree/${change#VOLUME /}"
                ;;
        esac
    done
    step "image $name"
    tar --create --owner 0 --group 0 --numeric-owner --file - --directory "$tree" . |
        "$docker" import "${changes[@]}" --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - "ackguard-stand-in/$name:local" \
            >/dev/null
}

envoy=$("$root/.make/envoy.sh")
mapfile -t prometheus < <("$root/.make/prometheus.sh")
# Unpacked by us, what is on the path is a wrapper that knows its place.
for index in "${!prometheus[@]}"; do
    unpacked=$(dirname "${prometheus[index]}")/usr/bin/$(basename "${prometheus[index]}")
    [ ! -x "$unpacked" ] || prometheus[index]=$unpacked
done
image envoy "$envoy"
image tmq "$built/release/tmq-broker" "$built/release/tmq-load" -- 'VOLUME /var/lib/tmq' 'VOLUME /var/lib/incident'
image prometheus "${prometheus[@]}" -- 'VOLUME /prometheus' 'ENTRYPOINT ["prometheus"]'
