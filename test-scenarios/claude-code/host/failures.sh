#!/bin/bash
# What can go wrong with a start, for both kinds of container user: either the container ends with one sentence, or
# it runs and nothing gets out, neither for a user nor for the agent.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

# FAILURES_IMAGE: an image with the Feature, for work on this script.
if [ -z "${FAILURES_IMAGE:-}" ]; then
    workspace "web.test.example:80, rebind.test.example:80, twice.test.example:80, none.test.example:80" --cap-drop=ALL
    up
    FAILURES_IMAGE=$(docker inspect --format '{{.Image}}' "$container")
fi
image=$FAILURES_IMAGE
# Rows make their containers in processes of their own; all have this beginning.
remove_rows() {
    local ids
    ids=$(docker ps --all --quiet --filter "name=^failure-$$-")
    # shellcheck disable=SC2086 # one word each
    [ -z "$ids" ] || docker rm --force --volumes $ids >/dev/null
}
trap 'remove_rows; finish' EXIT
start="/usr/local/libexec/agent-sandbox/sandboxd start || exit 1"
usual=(--cap-drop=ALL --cap-add=NET_ADMIN "--network=$NETWORK" "--dns=$DNS")
mkdir "$WORK/rows"
rows=0

# Rows run beside each other, each with its own container; what they say is printed at the end, in order.
row() {
    rows=$((rows + 1))
    (
        set +e
        "$@"
    ) >"$WORK/rows/$(printf '%03d' "$rows")" 2>&1 &
    while [ "$(jobs -rp | wc -l)" -ge 4 ]; do wait -n || true; done
}
finish_rows() {
    local file
    wait
    for file in "$WORK"/rows/*; do
        grep -v '^NOTE ' "$file" || true
        # A row that says nothing has not been tried.
        grep -q '^  PASS' "$file" || fail "a row of the matrix broke off: $file"
        if grep -q '^  FAIL' "$file"; then failed=1; fi
    done
    printf '\n%-42s %-7s %-9s %s\n' "what is wrong" "user" "outcome" "what is said"
    sed -n 's/^NOTE //p' "$WORK"/rows/*
}

# As the devcontainer CLI starts containers: the entrypoints joined in a shell, then a loop.
# run NAME USER ENTRYPOINTS DOCKERARG...
run() {
    local name=$1 user=$2 entrypoints=$3
    shift 3
    timeout 60 docker run --detach --name "$name" --user "$user" "$@" --entrypoint /bin/sh "$image" -c \
        "echo Container started
trap 'exit 0' 15
$entrypoints
echo USER-CODE-RUNS
while sleep 1 & wait \$!; do :; done" >/dev/null
}

running() { [ "$(docker inspect --format '{{.State.Running}}' "$1")" = true ]; }
said() { docker logs "$1" 2>&1 | grep -v '^Container started$' | grep -v '^USER-CODE-RUNS$' || true; }

# Until the container has ended, or its users' code runs.
settled() {
    for _ in $(seq 150); do
        running "$1" || return 0
        docker logs "$1" 2>&1 | grep -q '^USER-CODE-RUNS$' && return 0
        sleep 0.2
    done
    return 1
}

# The probe, as whatever `claude` starts: refused by the shim, or started and closed in.
agent_reaches() {
    docker exec --user vscode "$1" agent-sandbox exec bash -c '
        exec 3<>"/dev/tcp/$0/80" && printf "GET / HTTP/1.1\r\nHost: $1\r\n\r\n" >&3 &&
            timeout 5 grep -q "stand-in reached" <&3' "$2" "$(host_of "$2")" >/dev/null 2>&1
}

note() { printf 'NOTE %-42s %-7s %-9s %s\n' "$@"; }
# Names of containers are told to finish() by their beginning.
name_of() { echo "failure-$$-$(tr -c 'a-z0-9\n' - <<<"$1-$2" | tr -s -)"; }

# The container ends with exit code 1 and one sentence with REASON in it, and no code of the user's runs.
# refused CLAIM REASON DOCKERARG...
refused() { for user in root vscode; do row refused_as "$user" "$@"; done; }
refused_as() {
    local user=$1 claim=$2 reason=$3 name code
    shift 3
    name=$(name_of "$claim" "$user")
    run "$name" "$user" "${entry:-$start}" "$@"
    settled "$name"
    code=$(docker inspect --format '{{.State.ExitCode}}' "$name")
    note "$claim" "$user" "exit $code" "$(said "$name" | tail -n 1)"
    if running "$name"; then
        fail "$claim ($user): the container runs"
    elif docker logs "$name" 2>&1 | grep -q '^USER-CODE-RUNS$'; then
        fail "$claim ($user): the user's code ran"
    elif [ "$code" != 1 ]; then
        fail "$claim ($user): exit code $code: $(said "$name")"
    elif [ "$(said "$name" | wc -l)" -gt "${lines:-1}" ] || ! said "$name" | tail -n 1 | grep -q "$reason"; then
        fail "$claim ($user): not the one sentence: $(said "$name")"
    else
        pass "$claim ($user): ends"
    fi
    docker rm --force "$name" >/dev/null
}

# The container runs, and neither a user nor the agent gets out; the agent is started.
# closed CLAIM DOCKERARG...
closed() { for user in root vscode; do row closed_as "$user" "$@"; done; }
closed_as() {
    local user=$1 claim=$2 name out
    shift 2
    name=$(name_of "$claim" "$user")
    run "$name" "$user" "${entry:-$start}" "$@"
    settled "$name"
    check "$claim ($user): the container runs" running "$name"
    stays_closed "$claim ($user)" "$name"
    out=$(docker exec --user vscode "$name" agent-sandbox wait --timeout 60 2>&1 &&
        docker exec --user vscode "$name" agent-sandbox exec echo agent-starts 2>&1)
    note "$claim" "$user" "runs" "$(grep -v agent-starts <<<"$out" | head -n 1)"
    check "$claim ($user): the agent starts" grep -q '^agent-starts$' <<<"$out"
    stays_closed "$claim, later ($user)" "$name"
    docker rm --force "$name" >/dev/null
}

stays_closed() {
    check_not "$1: nothing goes out from a user" reaches_evil "$2"
    check_not "$1: nothing goes out from the agent over IPv4" agent_reaches "$2" "$evil4"
    check_not "$1: nothing goes out from the agent over IPv6" agent_reaches "$2" "$evil6"
}

# The probes themselves work: without the start they get out.
name="failure-$$-open"
run "$name" root "" "${usual[@]}"
check "without a start the probe reaches the host over IPv4" reaches "$name" "$evil4"
check "without a start the probe reaches the host over IPv6" reaches "$name" "$evil6"

# --- rights -----------------------------------------------------------------------------------------------------
refused "no NET_ADMIN" "CAP_NET_ADMIN is missing.*--cap-add=NET_ADMIN" --cap-drop=ALL "--network=$NETWORK"
refused "SYS_ADMIN" "SYS_ADMIN" --cap-add=SYS_ADMIN --cap-add=NET_ADMIN
if docker run --rm --privileged --entrypoint /bin/true "$image" 2>/dev/null; then
    refused "privileged" "privileged" --privileged
else
    echo "  NOT TRIED  privileged: this machine's Docker cannot grant it; CAP_SYS_ADMIN stands for it"
fi
refused "the host's processes" "pid=host" "${usual[@]}" --pid=host
socket=${DOCKER_HOST:-}
socket=${socket#unix://}
refused "Docker's socket" "socket.*is mounted" "${usual[@]}" -v "${socket:-/var/run/docker.sock}:/tmp/innocent"
mkdir -p "$WORK/run" && python3 -c "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])" "$WORK/run/docker-host.sock"
refused "a folder with an engine's socket" "socket.*is mounted" "${usual[@]}" -v "$WORK/run:/host"

# The host's tables, as far as anybody may read them, are the same before and after.
host_tables() { if command -v nft >/dev/null && [ "$(id -u)" = 0 ]; then nft list ruleset | grep -v counter; fi; }
wait
before=$(host_tables)
refused "the host's network" "network=host" --cap-drop=ALL --cap-add=NET_ADMIN --network=host
wait
check "the host's network: its tables are as before" [ "$before" = "$(host_tables)" ]

# --- the kernel's answers -----------------------------------------------------------------------------------------
# Without netfilter's netlink family at all, as on kernels built without it.
cat >"$WORK/no-netfilter.json" <<'END'
{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 93,
  "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 12, "op": "SCMP_CMP_EQ"}]}]}
END
refused "no netfilter in the kernel" "default-deny is not in force" "${usual[@]}" --security-opt "seccomp=$WORK/no-netfilter.json"

# --- the policy ---------------------------------------------------------------------------------------------------
at=/etc/agent-sandbox/policy.json
mkdir -p "$WORK/empty"
refused "no policy" "$at: No such file" "${usual[@]}" -v "$WORK/empty:/etc/agent-sandbox:ro"
printf 'not json' >"$WORK/broken.json"
refused "a policy that does not read" "$at: the policy file does not read" "${usual[@]}" -v "$WORK/broken.json:$at:ro"
printf '{"format":3,"mode":"enforce","rules":[{"name":"evil.test.example","ports":[0],"from":"x"}]}' >"$WORK/hostile.json"
refused "a policy with port 0" "$at: .*port" "${usual[@]}" -v "$WORK/hostile.json:$at:ro"
head -c 100000 /dev/zero | tr '\0' '[' >"$WORK/deep.json"
refused "a policy that is deeply nested" "$at: the policy file does not read" "${usual[@]}" -v "$WORK/deep.json:$at:ro"
refused "a policy without an end" "$at: is not a regular file" "${usual[@]}" -v "/dev/zero:$at"
mkfifo "$WORK/pipe" && refused "a policy that nobody writes" "$at: is not a regular file" "${usual[@]}" -v "$WORK/pipe:$at"
printf '{"format":3,"mode":"enforce","rules":[]}' >"$WORK/writable.json" && chmod 666 "$WORK/writable.json"
refused "a policy that anybody can write" "$at: .*written by others\|$at: belongs to" "${usual[@]}" -v "$WORK/writable.json:$at"
printf '{"format":3,"mode":"enforce","rules":[]}' >"$WORK/locked.json" && chmod 000 "$WORK/locked.json"
refused "a policy that cannot be read" "$at: .*Permission denied" "${usual[@]}" -v "$WORK/locked.json:$at:ro"

# --- the file system ----------------------------------------------------------------------------------------------
refused "a read-only root" "/run/agent-sandbox.*cannot be written.*--tmpfs=/run" "${usual[@]}" --read-only
refused "a read-only /run" "/run/agent-sandbox.*cannot be written" "${usual[@]}" -v "$WORK/empty:/run:ro"
closed "a read-only root with a writable /run and /tmp" "${usual[@]}" --read-only --tmpfs /run --tmpfs /tmp

# --- names --------------------------------------------------------------------------------------------------------
# dns NAME ADDRESS FLAG...: another DNS server on the stand-in internet.
dns() {
    local name="failure-$$-dns-$1" address=$2
    shift 2
    docker run --detach --name "$name" --network "$NETWORK" --ip "$address" "$STAND_IN" /stand-in --dns 0.0.0.0:53 "$@" >/dev/null
}
web=(--zone "web.test.example=203.0.113.20")
dns slow 203.0.113.54 --delay 1500 "${web[@]}"
dns lying 203.0.113.55 --zone "web.test.example=127.0.0.1,169.254.169.254,10.0.0.1,::1,fe80::1,::ffff:203.0.113.66"
dns twice 203.0.113.56 --zone "web.test.example=203.0.113.20,203.0.113.20,203.0.113.20" --zone "none.test.example="
base=(--cap-drop=ALL --cap-add=NET_ADMIN "--network=$NETWORK")
closed "DNS is dead" "${base[@]}" --dns 203.0.113.99
closed "DNS is slow" "${base[@]}" --dns 203.0.113.54
closed "DNS lies" "${base[@]}" --dns 203.0.113.55
closed "DNS gives duplicates and nothing" "${base[@]}" --dns 203.0.113.56
closed "no network" --cap-drop=ALL --cap-add=NET_ADMIN --network=none

# --- limits -------------------------------------------------------------------------------------------------------
entry="ulimit -n 4
$start"
refused "four descriptors" "Too many open files" "${usual[@]}"
# Whoever has no memory cannot say much, and what is said are the words of others.
entry="ulimit -v 2000
$start"
lines=5 refused "two megabytes of memory" "." "${usual[@]}"
unset entry
closed "few descriptors" "${usual[@]}" --ulimit nofile=32:32
# Enough for a start, where a dozen are ours and each name is asked for by two threads, and for little beside it. With
# less, the shell that is the first process may find no room for its `sleep` and end.
closed "few processes" "${usual[@]}" --pids-limit 24
closed "little memory" "${usual[@]}" --memory 24m

# --- others' entrypoints ------------------------------------------------------------------------------------------
# entrypoints CLAIM ENTRYPOINTS: whatever stands beside ours, the hook `agent-sandbox wait` finds or makes it closed.
entrypoints() { for user in root vscode; do row entrypoints_as "$user" "$@"; done; }
entrypoints_as() {
    local user=$1 claim=$2 lines=$3 name
    name=$(name_of "$claim" "$user")
    run "$name" "$user" "$lines" "${usual[@]}"
    check "$claim ($user): the hook succeeds" docker exec --user vscode "$name" agent-sandbox wait --timeout 60
    stays_closed "$claim ($user)" "$name"
    note "$claim" "$user" "runs" "$(said "$name" | tail -n 1)"
    docker rm --force "$name" >/dev/null
}
entrypoints "an entrypoint before ours fails" "false
$start"
entrypoints "an entrypoint before ours never returns" "sleep 1000
$start"
entrypoints "an entrypoint after ours fails" "$start
false"
entrypoints "an entrypoint after ours takes over" "$start
exec sleep 1000"
entrypoints "an entrypoint before ours takes over" "exec sleep 1000
$start"

# --- the daemon in trouble ----------------------------------------------------------------------------------------
trouble() {
    local user=$1 name daemon out code
    name=$(name_of trouble "$user")
    run "$name" "$user" "$start" "${usual[@]}"
    settled "$name"
    docker exec --user vscode "$name" agent-sandbox wait --timeout 60 >/dev/null
    daemon=$(daemon_of "$name")

    docker exec --user root "$name" bash -c "kill -STOP $daemon"
    out=$(docker exec --user vscode "$name" agent-sandbox exec true 2>&1) && code=0 || code=$?
    check "the daemon is stopped ($user): the agent is refused: $out" [ "$code" = 3 ]
    stays_closed "the daemon is stopped ($user)" "$name"
    note "the daemon is stopped" "$user" "runs" "$out"
    docker exec --user root "$name" bash -c "kill -CONT $daemon"

    docker pause "$name" >/dev/null && sleep 1 && docker unpause "$name" >/dev/null
    check "after a pause ($user) it is ready" docker exec --user vscode "$name" agent-sandbox wait --timeout 10
    stays_closed "after a pause ($user)" "$name"

    # A user takes all the places in the daemon's queue, and holds what it opens.
    docker exec --detach --user vscode "$name" perl -MSocket -e '
        for (1 .. 500) {
            socket(my $socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0) or last;
            connect($socket, pack_sockaddr_un("/run/agent-sandbox/control.sock"));
            push @held, $socket;
        }
        sleep 5'
    out=$(timeout 20 docker exec --user vscode "$name" agent-sandbox status 2>&1) && code=0 || code=$?
    check "the daemon's queue is full ($user): it is told or answered: $(head -n 1 <<<"$out")" [ "$code" -le 1 ]
    stays_closed "the daemon's queue is full ($user)" "$name"
    check "the daemon's queue was full ($user): ready again" docker exec --user vscode "$name" agent-sandbox wait --timeout 30

    check_not "a user cannot kill the daemon ($user)" docker exec --user vscode "$name" bash -c "kill -9 $daemon"
    docker exec --user root "$name" bash -c "kill -9 $daemon"
    out=$(docker exec --user vscode "$name" agent-sandbox exec true 2>&1) && code=0 || code=$?
    check "the daemon is killed ($user): the agent is refused: $out" [ "$code" = 3 ]
    stays_closed "the daemon is killed ($user)" "$name"
    note "the daemon is killed" "$user" "runs" "$out"
    check "the daemon is killed ($user): its user starts it again" docker exec --user vscode "$name" agent-sandbox start
    check "the daemon is killed ($user): and verify holds" docker exec --user vscode "$name" agent-sandbox verify

    docker restart --time 1 "$name" >/dev/null
    stays_closed "right after docker restart ($user)" "$name"
    check "after docker restart ($user) it is ready" docker exec --user vscode "$name" agent-sandbox wait --timeout 60
    docker rm --force "$name" >/dev/null
}
for user in root vscode; do row trouble "$user"; done

# --- plain docker run ---------------------------------------------------------------------------------------------
plain() {
    local name out code
    name=$(name_of plain vscode)
    docker run --detach --name "$name" "${usual[@]}" --user vscode "$image" sleep 1000 >/dev/null
    out=$(docker exec "$name" agent-sandbox exec true 2>&1) && code=0 || code=$?
    check "plain docker run: the agent is refused: $out" [ "$code" = 3 ]
    check_not "plain docker run: nothing goes out from the agent" agent_reaches "$name" "$evil4"
    check "plain docker run: sudo init-firewall.sh closes it" docker exec "$name" sudo /usr/local/bin/init-firewall.sh
    stays_closed "plain docker run, closed" "$name"
    check "plain docker run: then the agent starts" docker exec "$name" agent-sandbox exec true
    note "plain docker run" vscode runs "$out"
}
entrypoint() {
    local name out code
    name=$(name_of entrypoint vscode)
    docker run --detach --name "$name" "${usual[@]}" --user vscode --entrypoint agent-sandbox "$image" start sleep 1000 >/dev/null
    check "docker run --entrypoint agent-sandbox: ready" docker exec "$name" agent-sandbox wait --timeout 60
    stays_closed "docker run --entrypoint agent-sandbox" "$name"
    out=$(docker run --rm --cap-drop=ALL --user vscode --entrypoint agent-sandbox "$image" start echo USER-CODE-RUNS 2>&1) && code=0 || code=$?
    check "docker run --entrypoint agent-sandbox without rights fails: $out" [ "$code" = 1 ]
    check_not "and runs no code of the user's" grep -q USER-CODE-RUNS <<<"$out"
    note "docker run --entrypoint, no rights" vscode "exit $code" "$out"
}
row plain
row entrypoint

# --- odd first processes ------------------------------------------------------------------------------------------
# Run as a bare command by PID 1, without the shell's "|| exit 1": the failed start ends PID 1 by itself.
bare() {
    local user=$1 name
    name=$(name_of bare "$user")
    docker run --detach --name "$name" --user "$user" --cap-drop=ALL --entrypoint /bin/sh "$image" -c \
        "trap 'exit 0' 15; ${start% ||*}; while sleep 1 & wait \$!; do :; done" >/dev/null
    settled "$name"
    check_not "a tool that drops '|| exit 1' is ended too ($user)" running "$name"
}
# A first process that ignores the signal gets no further either, and its network is closed.
deaf() {
    local name
    name=$(name_of deaf root)
    docker run --detach --name "$name" "${usual[@]}" -v "$WORK/run:/host" --entrypoint /bin/sh "$image" -c \
        "${start% ||*}; echo USER-CODE-RUNS; exec sleep 600" >/dev/null
    sleep 3
    check_not "a first process that ignores the signal runs no user code" grep -q USER-CODE-RUNS <(docker logs "$name" 2>&1)
    check "and is told why" grep -q "the sandbox did not start: .*socket.*is mounted" <(docker logs "$name" 2>&1)
    check_not "and its network is closed" reaches_evil "$name"
}
row bare root
row bare vscode
row deaf

finish_rows
