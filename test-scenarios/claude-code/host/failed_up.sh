#!/bin/bash
# What the user of the devcontainer CLI sees when a container cannot be a sandbox, and when it is tried again; and
# Features of others that want the entrypoint, too.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

project=$WORK/project
label="devcontainer.local_folder=$project"
tries=0

# try_up: sets $code, and $out to what the CLI printed. Nothing is left running by a test that was cut off.
try_up() {
    tries=$((tries + 1))
    code=0
    "$DEVCONTAINER" up --workspace-folder "$project" >"$WORK/up.$tries" 2>&1 || code=$?
    out=$(cat "$WORK/up.$tries")
    mapfile -t containers < <(docker ps --all --quiet --filter "label=$label")
    container=${containers[0]:-}
}
running() { [ "$(docker ps --quiet --filter "label=$label" | wc -l)" -gt 0 ]; }

# Whatever makes a start fail, the CLI's output has the sentence, and nothing runs; nor after a second try.
# fails CLAIM SENTENCE RUNARG...
fails() {
    local claim=$1 sentence=$2
    shift 2
    rm -rf "$project"
    workspace web.test.example:80 "$@"
    # On a busy machine the CLI may be done with a container that ends at once before it has its output: then the
    # container's log has the sentence, and a new container is tried.
    for _ in 1 2 3; do
        try_up
        check "$claim: up fails" [ "$code" -ne 0 ]
        if grep -q -e "$sentence" <<<"$out"; then break; fi
        check "$claim: the log of the container says why" grep -q -e "$sentence" <(docker logs "$container" 2>&1)
        docker rm --force --volumes "${containers[@]}" >/dev/null
    done
    check "$claim: the CLI's output says why" grep -q "sandboxd: the sandbox did not start: $sentence" <<<"$out"
    check_not "$claim: nothing runs" running
    try_up
    check "$claim: a second up fails, too" [ "$code" -ne 0 ]
    check_not "$claim: and still nothing runs" running
    docker logs "$container" >"$WORK/logs" 2>&1
    check "$claim: the container's log says it for each start" [ "$(grep -c -e "$sentence" "$WORK/logs")" -ge 2 ]
    docker rm --force --volumes "${containers[@]}" >/dev/null
}
fails "the host's network" "--network=host" --cap-drop=ALL --network=host
fails "the host's processes" "--pid=host" --cap-drop=ALL --pid=host
fails "a read-only root" "/run/agent-sandbox" --cap-drop=ALL --read-only "--network=$NETWORK" "--dns=$DNS"

# Corrected, the same project starts.
rm -rf "$project"
workspace web.test.example:80 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
try_up
check "corrected, it starts" [ "$code" -eq 0 ]
check "and verify holds" docker exec --user vscode "$container" agent-sandbox verify
docker rm --force --volumes "${containers[@]}" >/dev/null

# Another Feature with an entrypoint, before ours and after it.
# other NAME ENTRYPOINT
other() {
    mkdir -p "$project/.devcontainer/other"
    printf '{ "id": "other", "version": "1.0.0", "name": "other", "entrypoint": "%s" }\n' "$1" \
        >"$project/.devcontainer/other/devcontainer-feature.json"
    printf '#!/bin/sh\n' >"$project/.devcontainer/other/install.sh"
}
for order in '"./other", "./claude-code"' '"./claude-code", "./other"'; do
    for entrypoint in "false" "sleep 1000" "exec sleep 1000"; do
        claim="another Feature's entrypoint '$entrypoint', installed as $order"
        rm -rf "$project"
        workspace web.test.example:80 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
        other "$entrypoint"
        sed -i -e 's|"features": {|"features": { "./other": {},|' \
            -e "s|\"remoteUser\"|\"overrideFeatureInstallOrder\": [$order], \"remoteUser\"|" \
            "$project/.devcontainer/devcontainer.json"
        try_up
        check "$claim: up succeeds" [ "$code" -eq 0 ]
        check "$claim: verify holds" docker exec --user vscode "$container" agent-sandbox verify
        check_not "$claim: nothing goes out" reaches_evil "$container"
        docker rm --force --volumes "${containers[@]}" >/dev/null
    done
done
containers=()
