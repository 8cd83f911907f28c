# shellcheck shell=bash
# What the host scripts share. `cargo xtask test-scenarios` sets the variables in capitals:
# DEVCONTAINER FEATURE IMAGE IMAGE_CLAUDE NPM_REGISTRY CLAUDE_VERSION NETWORK DNS WORK HOST_API HOST_EVIL.

: "${DEVCONTAINER:?}" "${FEATURE:?}" "${IMAGE:?}" "${IMAGE_CLAUDE:?}" "${NPM_REGISTRY:?}" "${NETWORK:?}" "${DNS:?}" "${WORK:?}"

failed=0
container=
containers=()

# Says what was seen; a claim that does not hold fails the script at its end, so that all of them are seen.
pass() { echo "  PASS  $1"; }
fail() {
    echo "  FAIL  $1"
    failed=1
}
check() {
    local claim=$1
    shift
    if "$@"; then pass "$claim"; else fail "$claim"; fi
}
check_not() {
    local claim=$1
    shift
    if "$@"; then fail "$claim"; else pass "$claim"; fi
}

# Removes what the script started, and nothing else.
finish() {
    local status=$?
    if [ "${#containers[@]}" -gt 0 ]; then docker rm --force --volumes "${containers[@]}" >/dev/null 2>&1; fi
    [ "$status" -eq 0 ] || exit "$status"
    exit "$failed"
}
trap finish EXIT

# A workspace that uses the Feature: workspace ALLOW RUNARG...
workspace() {
    local allow=$1 args
    shift
    mkdir -p "$WORK/project/.devcontainer"
    cp -r "$FEATURE" "$WORK/project/.devcontainer/claude-code"
    args=$(printf '"%s",' "$@")
    cat >"$WORK/project/.devcontainer/devcontainer.json" <<EOF
{
    "image": "$IMAGE",
    "features": { "./claude-code": { "npmRegistry": "$NPM_REGISTRY", "allow": "$allow" } },
    "runArgs": [${args%,}],
    "remoteUser": "vscode"
}
EOF
}

# Starts the workspace's container; its id is then in $container.
up() {
    local out
    out=$("$DEVCONTAINER" up --workspace-folder "$WORK/project" 2>"$WORK/up.log") || {
        tail -n 20 "$WORK/up.log" >&2
        echo "$out" >&2
        return 1
    }
    container=$(sed -n 's/.*"containerId":"\([0-9a-f]*\)".*/\1/p' <<<"$out" | tail -n 1)
    containers+=("$container")
    [ -n "$container" ]
}

# Whether a user in the container gets a page from the forbidden host, at this address of its.
reaches() {
    docker exec --user vscode "$1" bash -c '
        exec 3<>"/dev/tcp/$0/80" && printf "GET / HTTP/1.0\r\n\r\n" >&3 &&
            timeout 5 grep -q "stand-in reached" <&3' "$2" >/dev/null 2>&1
}
evil4=203.0.113.66
evil6=2001:db8:113::66

# Whether any address of the forbidden host can be reached.
reaches_evil() { reaches "$1" "$evil4" || reaches "$1" "$evil6"; }

# The daemon's pid in the container; none is a failure of the test.
daemon_of() {
    docker exec "$1" bash -c 'for d in /proc/[0-9]*; do
        read -r name <"$d/comm" && [ "$name" = sandboxd ] && echo "${d#/proc/}" && exit; done 2>/dev/null; exit 1'
}
