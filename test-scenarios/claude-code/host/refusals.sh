#!/bin/bash
# Containers that cannot be a sandbox end at once, with one sentence that names the reason.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

workspace "" --cap-drop=ALL
up
image=$(docker inspect --format '{{.Image}}' "$container")
start="/usr/local/libexec/agent-sandbox/sandboxd start || exit 1"

# As the devcontainer CLI starts containers: the entrypoints joined in a shell, then a loop.
refused() {
    local claim=$1 reason=$2 name out
    shift 2
    name="refusal-$$-${#containers[@]}"
    containers+=("$name")
    out=$(timeout 60 docker run --name "$name" "$@" --entrypoint /bin/sh "$image" -c \
        "trap 'exit 0' 15; $start
         echo USER-CODE-RUNS" 2>&1) && true
    if grep -q "USER-CODE-RUNS" <<<"$out"; then
        fail "$claim: the user's code ran"
    elif ! grep -q "$reason" <<<"$out"; then
        fail "$claim: no reason given: $out"
    elif [ "$(docker inspect --format '{{.State.Running}} {{.State.ExitCode}}' "$name" 2>/dev/null)" != "false 1" ]; then
        fail "$claim: the container did not end with 1"
    elif [ "$(grep -c . <<<"$out")" -ne 1 ]; then
        fail "$claim: more than one line: $out"
    else
        pass "$claim: $out"
    fi
}

refused "no NET_ADMIN" "CAP_NET_ADMIN is missing" --cap-drop=ALL
refused "another container user" "container user is uid 1000" --cap-drop=ALL --cap-add=NET_ADMIN --user vscode
refused "the host's network" "network=host" --cap-drop=ALL --cap-add=NET_ADMIN --network=host
if docker run --rm --privileged --entrypoint /bin/true "$image" 2>/dev/null; then
    refused "privileged" "privileged" --privileged
else
    echo "  NOT TRIED  privileged: this machine's Docker cannot grant it; CAP_SYS_ADMIN below stands for it"
fi
refused "SYS_ADMIN" "SYS_ADMIN" --cap-add=SYS_ADMIN --cap-add=NET_ADMIN
refused "the host's processes" "pid=host" --cap-drop=ALL --cap-add=NET_ADMIN --pid=host
socket=${DOCKER_HOST#unix://}
refused "Docker's socket" "socket" --cap-drop=ALL --cap-add=NET_ADMIN -v "${socket:-/var/run/docker.sock}:/tmp/innocent"
mkdir -p "$WORK/run" && python3 -c "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])" "$WORK/run/docker-host.sock"
refused "a folder with an engine's socket" "socket" --cap-drop=ALL --cap-add=NET_ADMIN -v "$WORK/run:/host"
printf 'not json' >"$WORK/broken.json"
refused "a policy that does not read" "policy.json" --cap-drop=ALL --cap-add=NET_ADMIN \
    -v "$WORK/broken.json:/etc/agent-sandbox/policy.json:ro"
refused "no place for state" "/run/agent-sandbox" --cap-drop=ALL --cap-add=NET_ADMIN --read-only

# Run as a bare command by PID 1, without the shell's "|| exit 1": the failed start ends PID 1 by itself.
name="refusal-$$-bare"
containers+=("$name")
docker run --detach --name "$name" --cap-drop=ALL --entrypoint /bin/sh "$image" -c \
    "trap 'exit 0' 15; ${start% ||*}; while sleep 1 & wait \$!; do :; done" >/dev/null
ended() {
    for _ in $(seq 50); do
        [ "$(docker inspect --format '{{.State.Running}}' "$name")" = false ] && return 0
        sleep 0.2
    done
    return 1
}
check "a tool that drops '|| exit 1' is ended too" ended

# A first process that ignores the signal gets no further either, and its network is closed.
name="refusal-$$-deaf"
containers+=("$name")
docker run --detach --name "$name" --cap-drop=ALL --cap-add=NET_ADMIN --network "$NETWORK" -v "$WORK/run:/host" \
    --entrypoint /bin/sh "$image" -c "${start% ||*}; echo USER-CODE-RUNS; exec sleep 600" >/dev/null
sleep 3
check_not "a first process that ignores the signal runs no user code" grep -q USER-CODE-RUNS <(docker logs "$name" 2>&1)
check_not "and its network is closed" reaches_evil "$name"

# The good case, by the same means, is not refused.
name="accepted-$$"
containers+=("$name")
out=$(docker run --name "$name" --cap-drop=ALL --cap-add=NET_ADMIN --entrypoint /bin/sh "$image" -c "$start
echo USER-CODE-RUNS" 2>&1)
check "with NET_ADMIN alone it starts" grep -q USER-CODE-RUNS <<<"$out"
