# shellcheck shell=bash
# What the host scripts share. `cargo xtask test-scenarios` sets the variables in capitals:
# DEVCONTAINER FEATURE IMAGE NPM_REGISTRY CLAUDE_VERSION NETWORK DNS WORK HOST_API HOST_EVIL, and an IMAGE_NAME for each
# base image. A script gets the images whose names are in its text, and runs once for each line "# Row: NAME KEY=VALUE..."
# in it, with ROW and ROW_KEY.

: "${DEVCONTAINER:?}" "${FEATURE:?}" "${IMAGE:?}" "${NPM_REGISTRY:?}" "${NETWORK:?}" "${DNS:?}" "${WORK:?}"

failed=0
container=
containers=()
networks=()
# What workspaces are made of and probes run as, unless a script says otherwise.
base=$IMAGE
remote=vscode

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

# Removes what the script started, and nothing else: of the named volumes those that came with its containers.
volumes_before=$(docker volume ls --quiet)
finish() {
    local status=$? volumes=
    if [ "${#containers[@]}" -gt 0 ]; then
        volumes=$(docker inspect --format \
            '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}' "${containers[@]}" 2>/dev/null |
            sort --unique | grep . | grep -vxF "$volumes_before") || true
        docker rm --force --volumes "${containers[@]}" >/dev/null 2>&1 || true
        # shellcheck disable=SC2086 # names of volumes hold no spaces
        if [ -n "$volumes" ]; then docker volume rm $volumes >/dev/null 2>&1 || true; fi
    fi
    for network in "${networks[@]}"; do docker network rm "$network" >/dev/null 2>&1 || true; done
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
    "image": "$base",
    "features": { "./claude-code": { "npmRegistry": "$NPM_REGISTRY", "allow": "$allow" } },
    "runArgs": [${args%,}],
    "remoteUser": "$remote"
}
EOF
}

# Starts the workspace's container; its id is then in $container.
up() { started_by "$DEVCONTAINER" up --workspace-folder "$WORK/project"; }

# The same, with the CLI run by another user of the host, whose uid is then in $host_uid. Nothing of the machine is
# changed: the user exists in a mount namespace of the CLI's own. Who is not root is another user already.
up_as() {
    local socket modules
    if [ "$(id -u)" -ne 0 ]; then
        host_uid=$(id -u)
        up
        return
    fi
    # shellcheck disable=SC2034 # scripts use it
    host_uid=$1
    socket=${DOCKER_HOST#unix://}
    modules=$(readlink -f "$DEVCONTAINER")
    modules=${modules%/@devcontainers/*}
    mkdir "$WORK/cli" "$WORK/home"
    for file in passwd group; do cp "/etc/$file" "$WORK/$file"; done
    echo "tester:x:$1:$1::$WORK/home:/bin/sh" >>"$WORK/passwd"
    echo "tester:x:$1:" >>"$WORK/group"
    chmod 755 "$WORK" && chown -R "$1:$1" "$WORK/project" "$WORK/home"
    # shellcheck disable=SC2016 # the inner shell expands
    HOME=$WORK/home started_by unshare --mount sh -ec '
        mount --bind "$WORK/passwd" /etc/passwd
        mount --bind "$WORK/group" /etc/group
        mount --bind "$1" "$WORK/cli"
        exec setpriv --reuid "$2" --regid "$2" --groups "$3" --inh-caps=-all \
            node "$WORK/cli/@devcontainers/cli/devcontainer.js" up --workspace-folder "$WORK/project"' \
        sh "$modules" "$1" "$(stat -c %g "${socket:-/var/run/docker.sock}")"
}

# Runs a command that is a form of `devcontainer up`, and remembers the container.
started_by() {
    local out
    out=$("$@" 2>"$WORK/up.log") || {
        tail -n 20 "$WORK/up.log" >&2
        echo "$out" >&2
        return 1
    }
    container=$(sed -n 's/.*"containerId":"\([0-9a-f]*\)".*/\1/p' <<<"$out" | tail -n 1)
    containers+=("$container")
    [ -n "$container" ]
}

# Whether a user in the container gets a page from a host, by its address or its name, at port 80 or another; by bash, or
# by busybox where there is none.
reaches() {
    # shellcheck disable=SC2016 # the inner shells expand
    docker exec --user "$remote" "$1" sh -c '
        if command -v bash; then
            exec bash -c "exec 3<>\"/dev/tcp/\$0/\$1\" &&
                printf \"GET / HTTP/1.1\r\nHost: \$2\r\nConnection: close\r\n\r\n\" >&3 &&
                timeout 5 grep -q \"stand-in reached\" <&3" "$0" "$1" "$2"
        fi
        case "$0" in *:*) host="[$0]" ;; *) host=$0 ;; esac
        timeout 5 wget -q -O - --header "Host: $2" "http://$host:$1/" | grep -q "stand-in reached"
    ' "$2" "${3:-80}" "$(host_of "$2")" >/dev/null 2>&1
}
evil4=203.0.113.66
evil6=2001:db8:113::66
# What a request to an address says of whom it is for.
host_of() { case "$1" in "$evil4" | "$evil6") echo evil.test.example ;; *) echo "$1" ;; esac; }

# Whether any address of the forbidden host can be reached, where the gate judges by name or at another port.
reaches_evil() {
    reaches "$1" "$evil4" || reaches "$1" "$evil6" || reaches "$1" "$evil4" 8080 || reaches "$1" "$evil6" 8080
}

# The daemon's pid in the container; none is a failure of the test.
daemon_of() {
    docker exec "$1" bash -c 'for d in /proc/[0-9]*; do
        read -r name <"$d/comm" && [ "$name" = sandboxd ] && echo "${d#/proc/}" && exit; done 2>/dev/null; exit 1'
}
