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
check "without the Feature the probe reaches the host" reaches_evil "$bare"
check_not "closed after up" reaches_evil "$container"

# Probes from the first moment on that `docker exec` gets in, for five seconds.
hammer() {
    local until=$((SECONDS + 5)) tries=0
    while [ $SECONDS -lt $until ]; do
        if reaches_evil "$container"; then
            echo "open" >"$WORK/hammer"
            return
        fi
        tries=$((tries + 1))
    done
    echo "closed after $tries probes" >"$WORK/hammer"
}
for action in "stop start" restart "kill start"; do
    rm -f "$WORK/hammer"
    hammer &
    for verb in $action; do docker "$verb" "$container" >/dev/null; done
    check_not "closed right after docker $action" reaches_evil "$container"
    wait $!
    check "never open during docker $action: $(cat "$WORK/hammer")" grep -q '^closed' "$WORK/hammer"
    check "ready again after docker $action, with no hook run" wait_ready
    check "verify holds after docker $action" docker exec --user vscode "$container" agent-sandbox verify
done

daemon=$(docker exec "$container" bash -c "grep -l '^sandboxd' /proc/[0-9]*/comm | cut -d/ -f3 | head -n 1")
check_not "a user cannot kill the daemon" docker exec --user vscode "$container" bash -c "kill -9 $daemon"
docker exec "$container" kill -9 "$daemon"
check_not "closed after kill -9 of sandboxd" reaches_evil "$container"
check_not "status says that nobody vouches for it" docker exec --user vscode "$container" agent-sandbox status
check_not "verify fails" docker exec --user vscode "$container" agent-sandbox verify
check_not "wait fails" docker exec --user vscode "$container" agent-sandbox wait --timeout 1

# Tampering by root, which is out of the model, is at least mended: the daemon puts the table back.
docker restart "$container" >/dev/null
wait_ready
image=$(docker inspect --format '{{.Image}}' "$container")
docker run --rm --network "container:$container" --cap-drop=ALL --cap-add=NET_ADMIN --entrypoint /usr/local/libexec/agent-sandbox/sandboxd \
    "$image" start >/dev/null 2>&1 || true
check "verify still holds after a second start in the same network" docker exec --user vscode "$container" agent-sandbox verify
