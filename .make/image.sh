#!/usr/bin/env bash
# Builds the OCI image that Istio's WasmPlugin loads, from target/ackguard.wasm, with the first of docker, podman and
# buildah that works here, checks what it built, and prints the image's name. IMAGE names it. Progress goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"

version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' "$root/Cargo.toml")
image=${IMAGE:-localhost/ackguard:$version}
module=$root/target/ackguard.wasm
# Whether the builder does more than exist: docker has no images without its daemon.
works() { command -v "$1" >/dev/null && "$1" info >/dev/null 2>&1 </dev/null; }

builder=
for candidate in docker podman buildah; do
    if works "$candidate"; then
        builder=$candidate
        break
    fi
done
[ -n "$builder" ] ||
    fail "none of docker, podman and buildah works here, one of which builds the image: apt-get install buildah"
[ -f "$module" ] || fail "target/ackguard.wasm is missing: make wasm"

# A folder with the module alone, since all of it goes to the builder.
work=$(mktemp -d "$root/target/.image.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/context"
cp "$module" "$work/context/ackguard.wasm"

step "building $image with $builder"
arguments=(build --file "$root/envoy/istio/Dockerfile" --tag "$image")
# By this, which docker cannot set, a registry's visitors tell the variant; Istio does not need it.
[ "$builder" = docker ] || arguments+=(--annotation module.wasm.image/variant=compat)
"$builder" "${arguments[@]}" "$work/context" >"$work/log" 2>&1 </dev/null || {
    cat "$work/log" >&2
    fail "$builder cannot build $image"
}

case $builder in
    docker) docker save --output "$work/image.tar" "$image" ;;
    podman) podman save --quiet --format docker-archive --output "$work/image.tar" "$image" ;;
    buildah) buildah push --quiet "$image" "docker-archive:$work/image.tar:$image" ;;
esac >"$work/log" 2>&1 </dev/null || fail "$builder cannot save $image: $(tail -n 1 "$work/log")"

python3 - "$work/image.tar" "$module" <<'CHECK' || fail "$image is not what Istio loads"
import hashlib, io, json, sys, tarfile

with tarfile.open(sys.argv[1]) as image, open(sys.argv[2], "rb") as file:
    module = file.read()
    layers = json.load(image.extractfile("manifest.json"))[0]["Layers"]
    if len(layers) != 1:
        sys.exit(f"expected one layer, found {len(layers)}")
    with tarfile.open(fileobj=io.BytesIO(image.extractfile(layers[0]).read())) as layer:
        names = layer.getnames()
        if names != ["plugin.wasm"]:
            sys.exit(f"expected plugin.wasm alone in the layer, found {names}")
        if layer.extractfile("plugin.wasm").read() != module:
            sys.exit("plugin.wasm is not target/ackguard.wasm")
print(f"image: one layer, plugin.wasm, {len(module)} bytes, sha256 {hashlib.sha256(module).hexdigest()}", file=sys.stderr)
CHECK
echo "$image"
