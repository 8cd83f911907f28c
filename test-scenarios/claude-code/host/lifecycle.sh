#!/bin/bash
# Closed at every moment: right after `docker start`, while starting, after `docker restart`, after `kill -9`.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

workspace web.test.example:80 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
up
wait_ready() { docker exec --user vscode "$container" agent-sandbox wait --timeout 60; }

# The probe itself works: on the same network, without the Feature, it gets through.
bare=$(docker run --detach --network "$NETWORK" "$IMAGE_CLAUDE" sleep 600)
containers+=("$bare")
check "without the Feature the probe reaches the host over IPv4" reaches "$bare" "$evil4"
check "without the Feature the probe reaches the host over IPv6" reaches "$bare" "$evil6"
check_not "closed after up" reaches_evil "$container"

# When a container's first process started: field 22 of its stat, which a new start changes.
born() { docker exec "$1" bash -c 'read -r -a f </proc/1/stat && echo "${f[21]}"'; }

# Probes a container from the first moment on that `docker exec` gets in, without a pause, for six seconds and
# until there were some of the start after the one that began at $2, which are counted.
hammer() {
    local until=$((SECONDS + 6)) limit=$((SECONDS + 60)) tries=0 more
    while [ $SECONDS -lt $until ] || { [ $tries -eq 0 ] && [ $SECONDS -lt $limit ]; }; do
        more=$(docker exec --user vscode "$1" bash -c '
            read -r -a f </proc/1/stat
            end=$((SECONDS + 2))
            while [ $SECONDS -lt $end ]; do
                for host in 203.0.113.66 2001:db8:113::66; do
                    { exec 3<>"/dev/tcp/$host/8080"; } 2>/dev/null && echo open && exit
                    { exec 3<>"/dev/tcp/$host/80"; } 2>/dev/null &&
                        printf "GET / HTTP/1.1\r\nHost: evil.test.example\r\n\r\n" >&3 &&
                        read -r -t 0.5 answer <&3 && [[ $answer = *200* ]] && echo open && exit
                    { echo probe >"/dev/udp/$host/443"; } 2>/dev/null && echo open && exit
                done
                echo "closed ${f[21]}"
            done' 2>/dev/null) || true
        if grep -q open <<<"$more"; then
            echo "open" >"$WORK/hammer"
            return
        fi
        tries=$((tries + $(grep closed <<<"$more" | grep -vc "closed $2\$" || true)))
    done
    echo "closed in $tries probes" >"$WORK/hammer"
}
hammer "$bare" 0
check "without the Feature the probes find it open" grep -q open "$WORK/hammer"
for action in "stop start" restart "kill start"; do
    rm -f "$WORK/hammer"
    hammer "$container" "$(born "$container")" &
    for verb in $action; do docker "$verb" "$container" >/dev/null; done
    check_not "closed right after docker $action" reaches_evil "$container"
    wait $!
    check "never open during docker $action: $(cat "$WORK/hammer")" grep -q '^closed in [1-9]' "$WORK/hammer"
    check "ready again after docker $action, with no hook run" wait_ready
    check "verify holds after docker $action" docker exec --user vscode "$container" agent-sandbox verify
done

daemon=$(daemon_of "$container")
check_not "a user cannot kill the daemon" docker exec --user vscode "$container" bash -c "kill -9 $daemon"
docker exec "$container" bash -c "kill -9 $daemon"
check_not "closed after kill -9 of sandboxd" reaches_evil "$container"
check_not "status says that nobody vouches for it" docker exec --user vscode "$container" agent-sandbox status
check_not "verify fails" docker exec --user vscode "$container" agent-sandbox verify
check "wait has it started again" docker exec --user vscode "$container" agent-sandbox wait --timeout 60
check "verify holds again" docker exec --user vscode "$container" agent-sandbox verify
daemon=$(daemon_of "$container")
docker exec "$container" bash -c "kill -9 $daemon"

# The table does not depend on the daemon: a new start takes over, and nothing was open meanwhile.
hammer "$container" 0 &
docker exec "$container" /usr/local/libexec/agent-sandbox/sandboxd start
wait $!
check "never open while a new daemon takes over: $(cat "$WORK/hammer")" grep -q '^closed in [1-9]' "$WORK/hammer"
check "ready again" wait_ready
check "verify holds again" docker exec --user vscode "$container" agent-sandbox verify
