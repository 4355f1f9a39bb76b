#!/usr/bin/env bash
# The compose stack of envoy/compose/: `up` starts it and says what there is to see, `down` ends it, `test` runs the incident
# through one of its own and checks what its containers are. Progress goes to stderr.
#
# `test` also runs where no Docker engine is or no image can be pulled. As root on Debian it then starts an engine of its own,
# found or unpacked by .make/docker.sh, and takes the images of .make/stand-in.sh.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
cd "$root"

files=(--file envoy/compose/compose.yaml)
project=ackguard
out=target/compose
mkdir -p "$out"

# The services whose images are taken as they are; those of the others are built.
pulled=(envoy prometheus grafana)

# How long each may take, in seconds. Pulling and building is measured by networks and compilers, the rest by processes.
BUILD_WITHIN=1800
START_WITHIN=180
INCIDENT_WITHIN=180
SEEN_WITHIN=90

docker=$(command -v docker || true)
compose=()

compose() { "${compose[@]}" --project-name "$project" "${files[@]}" "$@" </dev/null; }

# within SECONDS COMMAND…: Compose's command, ended after so long. In a group of its own a process would not hear of Ctrl-C.
within() {
    local seconds=$1
    shift
    timeout --foreground "$seconds" "${compose[@]}" --project-name "$project" "${files[@]}" "$@" </dev/null
}

# Sets how Compose is called: the client's plug-in, or the program of its own.
find_compose() {
    if "$docker" compose version >/dev/null 2>&1; then
        compose=("$docker" compose)
    elif command -v docker-compose >/dev/null; then
        compose=(docker-compose)
    else
        return 1
    fi
}

engine_answers() { [ -n "$docker" ] && timeout --foreground 20 "$docker" info >/dev/null 2>&1 </dev/null; }

# Why the official images are not to be had, if they are not: the smallest of them is asked for.
no_registry() {
    local said
    said=$(timeout --foreground 120 "$docker" pull --quiet busybox:1.37.0-musl 2>&1 </dev/null) && return 1
    echo "${said:-no answer within two minutes}" | tail -n 1
}

# The ids of the project's containers, those of `compose run` too.
containers() { "$docker" ps --all --quiet --filter "label=com.docker.compose.project=$project"; }

# describe CONTAINER TEMPLATE
describe() { "$docker" inspect --format "$2" "$1"; }

service_of() { describe "$1" '{{index .Config.Labels "com.docker.compose.service"}}'; }

show_logs() {
    step "the last lines of $(service_of "$1"):"
    "$docker" logs --tail 40 "$1" >&2 2>&1 || true
}

# Waits until every service is healthy. One that ends, starts again or is found unwell ends the wait. What was started again
# before is for `test` to judge, and an incident that is over is no service.
wait_healthy() {
    local end=$((SECONDS + START_WITHIN)) id state waiting
    while :; do
        waiting=
        for id in $(containers); do
            [ "$(service_of "$id")" != incident ] || continue
            state=$(describe "$id" '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}unchecked{{end}}')
            case $state in
                "running healthy") ;;
                "running starting" | "created "*) waiting="$waiting $(service_of "$id")" ;;
                *)
                    show_logs "$id"
                    fail "$(service_of "$id") is not well: $state"
                    ;;
            esac
        done
        [ -n "$waiting" ] || return 0
        [ "$SECONDS" -lt "$end" ] || fail "not healthy within $START_WITHIN s:$waiting"
        sleep 1
    done
}

# Starts the services $@, all of them where none is named.
start() {
    within "$START_WITHIN" up --detach --no-build "$@" >"$out/up.log" 2>&1 || {
        tail -n 20 "$out/up.log" >&2
        # What kept the others from starting says why.
        for id in $(containers); do
            case $(describe "$id" '{{if .State.Health}}{{.State.Health.Status}}{{end}}') in
                healthy) ;;
                *) show_logs "$id" ;;
            esac
        done
        fail "the stack does not start: $out/up.log"
    }
    wait_healthy
}

build() {
    step "pulling and building the images, some minutes the first time: $out/build.log"
    # BuildKit, where Compose leaves the choice: it leaves out what no service needs.
    {
        within "$BUILD_WITHIN" pull --quiet "${pulled[@]}" &&
            DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1 within "$BUILD_WITHIN" build
    } >"$out/build.log" 2>&1 || {
        tail -n 30 "$out/build.log" >&2
        fail "the images cannot be pulled or built: $out/build.log"
    }
}

address() { echo "http://127.0.0.1:$1"; }

# `up`

up() {
    local reason
    trap 'exit 130' INT
    engine_answers || fail "no Docker engine answers here; \`make up\` starts broker and gateways without one"
    find_compose || fail "Docker has no Compose here: install its plug-in, or docker-compose"
    if reason=$(no_registry); then
        fail "no image can be pulled here: $reason; \`make up\` starts broker and gateways without Docker"
    fi
    build
    start
    cat <<ADDRESSES
Grafana          $(address "${ACKGUARD_GRAFANA_PORT:-3000}")/dashboards: violations of the tenant billing, all clamped
Jaeger           $(address "${ACKGUARD_JAEGER_PORT:-16686}"): service gateway, tag ackguard.decision=edit
Prometheus       $(address "${ACKGUARD_PROMETHEUS_PORT:-9090}")/alerts: AckGuardZeroAckTimeout fires
broker           $(address "${ACKGUARD_BROKER_PORT:-8080}"), its page $(address "${ACKGUARD_BROKER_ADMIN_PORT:-8081}"): nothing is lost
guarded gateway  $(address "${ACKGUARD_GATEWAY_PORT:-10000}")
bare gateway     $(address "${ACKGUARD_BARE_PORT:-10001}")
Envoy admin      $(address "${ACKGUARD_ENVOY_ADMIN_PORT:-9901}")
docs/compose.md leads through it; \`make compose-down\` ends it.
ADDRESSES
}

down() {
    engine_answers && find_compose || fail "no Docker engine answers here"
    compose --profile incident down --volumes --remove-orphans
}

# `test`

engine_pid=
engine_folder=
stand_in=

# Ends what was started, in whatever state it is.
clean_up() {
    local status=$?
    trap - EXIT
    if [ "$status" -ne 0 ] && [ ${#compose[@]} -gt 0 ]; then
        compose logs --no-color --tail 200 >"$out/containers.log" 2>&1 || true
        step "the logs of all containers: $out/containers.log"
    fi
    if [ ${#compose[@]} -gt 0 ]; then
        compose --profile incident down --volumes --remove-orphans --timeout 5 >"$out/down.log" 2>&1 || true
        for id in $(containers); do "$docker" rm --force --volumes "$id" >/dev/null 2>&1 || true; done
    fi
    if [ -n "$engine_pid" ]; then
        kill "$engine_pid" 2>/dev/null || true
        for ((tenth = 0; tenth < 300; tenth++)); do
            kill -0 "$engine_pid" 2>/dev/null || break
            sleep 0.1
        done
        wait "$engine_pid" 2>/dev/null || true
        # A name space's mount stays until its container's is gone.
        rm -rf "$engine_folder" "$out/engine" 2>/dev/null || true
    elif [ -n "$stand_in" ]; then
        "$docker" images --quiet 'ackguard-stand-in/*' | sort -u | xargs --no-run-if-empty "$docker" rmi --force \
            >/dev/null 2>&1 || true
    fi
    exit "$status"
}

# Starts an engine that shares nothing with another one, writes no rule of iptables, and makes no bridge but the stack's.
start_engine() {
    local parts
    [ "$(id -u)" = 0 ] || fail "no Docker engine answers here, and starting one takes root"
    step "no Docker engine answers here: starting one"
    mapfile -t parts < <("$root/.make/docker.sh")
    [ "${#parts[@]}" -eq 3 ] || fail "there is no Docker to start"
    docker=${parts[1]}
    compose=("${parts[2]}")
    # Sockets have short paths.
    engine_folder=$(mktemp -d /tmp/ackguard-engine.XXXXXX)
    mkdir -p "$out/engine"
    export DOCKER_HOST=unix://$engine_folder/docker.sock
    "${parts[0]}" --host "$DOCKER_HOST" --data-root "$root/$out/engine" --exec-root "$engine_folder/exec" \
        --pidfile "$engine_folder/pid" --bridge none --iptables=false --ip6tables=false \
        --containerd-namespace ackguard --containerd-plugins-namespace ackguard-plugins \
        >"$out/engine.log" 2>&1 </dev/null &
    engine_pid=$!
    for ((second = 0; second < 60; second++)); do
        ! engine_answers || return 0
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 1
    done
    tail -n 20 "$out/engine.log" >&2
    fail "the Docker engine does not start: $out/engine.log"
}

# Sets every port to a free one, so that a stack that runs is not met.
take_free_ports() {
    local names=(GATEWAY BARE ENVOY_ADMIN BROKER BROKER_ADMIN PROMETHEUS GRAFANA JAEGER) ports index
    mapfile -t ports < <(python3 - "${#names[@]}" <<'FREE'
import socket, sys

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
for each in sockets:
    print(each.getsockname()[1])
FREE
    )
    for index in "${!names[@]}"; do export "ACKGUARD_${names[index]}_PORT=${ports[index]}"; done
}

# Checks what each container is: no root, nothing to write to, no capability, bounded memory, loopback alone, never restarted.
check_containers() {
    local id service found
    for id in $(containers); do
        service=$(service_of "$id")
        found=$(describe "$id" '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.RestartCount}} {{.State.OOMKilled}}')
        [ "$found" = 'true [ALL] [no-new-privileges:true] 0 false' ] ||
            fail "$service is not as hardened as it should be, or was started again: $found"
        [ "$(describe "$id" '{{.HostConfig.Memory}}')" -gt 0 ] || fail "$service may take all memory"
        found=$(describe "$id" '{{range .HostConfig.PortBindings}}{{range .}}{{.HostIp}} {{end}}{{end}}' | tr ' ' '\n' | sort -u | xargs)
        case $found in "" | 127.0.0.1) ;; *) fail "$service is published at $found" ;; esac
        found=$(describe "$id" '{{.Config.User}}')
        case $found in "" | 0 | 0:* | root | root:*) fail "$service is to run as root: user '$found'" ;; esac
        # The incident has come to its end.
        [ "$service" != incident ] || continue
        # By the kernel's own word, which no image can shape.
        found=$("$docker" top "$id" -eo uid,pid,comm | awk 'NR > 1 { print $1 }' | sort -u)
        [ -n "$found" ] && ! grep -qx 0 <<<"$found" || fail "$service runs as root: uid $found"
        found=$(describe "$id" '{{.State.Health.Status}}')
        [ "$found" = healthy ] || fail "$service is $found"
    done
    step "no container runs as root, can write to its image, holds a capability, was restarted or is unwell"
}

run_incident() {
    local id status
    step "the incident, $ACKGUARD_INCIDENT_MESSAGES messages each way, through the containers"
    status=0
    within "$INCIDENT_WITHIN" run --no-deps -T incident >"$out/incident.log" 2>&1 || status=$?
    cat "$out/incident.log" >&2
    [ "$status" -ne 124 ] || fail "the incident did not end within $INCIDENT_WITHIN s"
    [ "$status" -eq 0 ] || fail "the incident did not show what it is to show: exit status $status"
    id=$("$docker" ps --all --quiet --filter "label=com.docker.compose.project=$project" \
        --filter label=com.docker.compose.service=incident | head -n 1)
    for file in result.json report.html; do "$docker" cp "$id:/var/lib/incident/$file" "$out/$file" >/dev/null; done
}

# What Prometheus, and Grafana and Jaeger where they run, know of it by now.
check_sight() {
    SEEN_WITHIN=$SEEN_WITHIN STAND_IN=$stand_in python3 .make/compose-sight.py "$out/result.json" >&2 ||
        fail "what happened cannot be seen"
}

run_test() {
    local reason services=()
    project=ackguard-test-$$
    export ACKGUARD_INCIDENT_MESSAGES=${MESSAGES:-20000}
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    [ -f target/ackguard.wasm ] || fail "target/ackguard.wasm is missing: make wasm"
    if ! engine_answers; then
        start_engine
    elif ! find_compose; then
        fail "Docker has no Compose here: install its plug-in, or docker-compose"
    fi
    if reason=$(no_registry); then
        step "no image can be pulled here: $reason"
        step "standing in for them: Debian's Prometheus, PyPI's Envoy, what cargo built; no Grafana, Jaeger, collector"
        stand_in=yes
        files+=(--file envoy/compose/stand-in.yaml)
        DOCKER=$docker "$root/.make/stand-in.sh"
        services=(envoy broker good-consumers bad-consumers prometheus)
    else
        build
    fi
    take_free_ports
    step "starting the stack"
    start "${services[@]}"
    run_incident
    check_sight
    check_containers
    step "all messages lost without AckGuard, none with it, in containers; $out/result.json, $out/report.html"
}

case ${1:-} in
    up | down) "$1" ;;
    test) run_test ;;
    *) fail "expected up, down or test" ;;
esac
