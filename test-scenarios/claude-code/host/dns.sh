#!/bin/bash
# DNS: questions are answered in the container and reach no server; what was refused is told, with the option.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
: "${HOST_DNS:?}" "${HOST_EVIL:?}"

# Adds a postCreateCommand, which runs as the user while the container is made.
post_create() {
    local file="$WORK/project/.devcontainer/devcontainer.json"
    sed -i "s|^    \"remoteUser\"|    \"postCreateCommand\": \"$1\",\n&|" "$file"
}

# A question for NAME to SERVER as a user, over UDP and TCP; what comes back does not matter here.
ask() {
    docker exec --user "${3:-vscode}" "$container" bash -c '
        message="\x5a\x5a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x$(printf %02x ${#1})$1\x07example\x00\x00\x01\x00\x01"
        for over in udp tcp; do
            { exec 3<>"/dev/$over/$0/53"; } 2>/dev/null || continue
            printf "$message" >&3
            timeout 1 head -c 12 <&3 >/dev/null
        done; true' "$1" "$2" 2>/dev/null || true
}
servers="127.0.0.11 203.0.113.53 203.0.113.66 2001:db8:113::66"
seen() { cat <(docker logs "$HOST_DNS" 2>&1) <(docker logs "$HOST_EVIL" 2>&1) | grep -c "$1" || true; }

# Without the Feature the questions arrive, so the probe and the servers' logs can tell the difference.
container=$(docker run --detach --network "$NETWORK" --dns "$DNS" "$IMAGE_CLAUDE" sleep 600)
containers+=("$container")
for server in $servers; do ask "$server" openleak; done
check "without the Feature questions reach the servers" [ "$(seen openleak)" -ge 4 ]

# Programs that ask for names: one lookup, and a package manager that wants its mirror.
apt='apt-get -o Dir::State=/tmp/apt -o Dir::Cache=/tmp/apt -o Acquire::Retries=0'
blocked="mkdir -p /tmp/apt/lists/partial /tmp/apt/archives/partial; getent hosts registry.blocked.example;"
blocked+=" printf 'deb [trusted=yes] http://mirror.blocked.example/debian x main' >/tmp/apt/sources;"
blocked+=" $apt -o Dir::Etc::SourceList=/tmp/apt/sources -o Dir::Etc::SourceParts=/dev/null update; true"
workspace web.test.example:80 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
post_create "$blocked"
up
tells() { grep -q "refused $1: not in the policy; to allow it, add to the Feature's options: .\{0,2\}\"allow.\{0,2\}\": .\{0,2\}\"$1" "$WORK/up.log"; }
check "devcontainer up names the name that a lookup wanted, and the option" tells registry.blocked.example
check "devcontainer up names the mirror that apt-get wanted" tells mirror.blocked.example
check "each name once" [ "$(grep -c 'refused registry.blocked.example:' "$WORK/up.log")" -eq 1 ]
user() { docker exec --user vscode "$container" "$@"; }
option='"allow": "web.test.example:80, mirror.blocked.example, registry.blocked.example"'
check "agent-sandbox log has the option to paste" grep -qF "$option" <(user agent-sandbox log)
check "agent-sandbox log --json has a line a name" \
    grep -q '"what":"registry.blocked.example","why":"not in the policy"' <(user agent-sandbox log --json)
logged() {
    for _ in $(seq 50); do
        user grep -q '"what":"registry.blocked.example"' /var/log/agent-sandbox/denied.jsonl && return
        sleep 0.2
    done
    return 1
}
check "and so has the file" logged
check "which is root's" [ "$(user stat -c '%U %a' /var/log/agent-sandbox/denied.jsonl)" = "root 644" ]

for server in $servers; do ask "$server" closedleak; done
check "with the Feature no question of a user's reaches a server" [ "$(seen closedleak)" -eq 0 ]
ask 127.0.0.11 rootleak root
check "nor does one of root's to the container's resolver" [ "$(seen rootleak)" -eq 0 ]
check "the daemon's own do: an allowed name resolves" user getent hosts web.test.example
check "verify holds" user agent-sandbox verify
check "a refused name fails at once" user timeout 2 bash -c '! getent hosts slow.blocked.example'

# Terminal escapes and paths in a question are no names, and get nowhere near a log.
ask 203.0.113.53 $'\e[31mred'
ask 203.0.113.53 '../../etc'
check_not "no control characters in the container's log" grep -q $'\e\\[31m' <(docker logs "$container" 2>&1)
check_not "nor in the list" grep -q $'\e\\[31m\\|etc' <(user agent-sandbox log)

# The worker: no user can end it; if it ends, another one takes its place, and nobody gets the port meanwhile.
worker() {
    docker exec "$container" bash -c 'for d in /proc/[0-9]*; do
        read -r name <"$d/comm" && [ "$name" = sandboxd-dns ] && echo "${d#/proc/}" && exit; done 2>/dev/null; exit 1'
}
first=$(worker)
check_not "a user cannot kill the worker" user bash -c "kill -9 $first"
docker exec "$container" bash -c "kill -9 $first"
again() {
    for _ in $(seq 50); do
        user getent hosts "again$RANDOM.blocked.example"
        user agent-sandbox log | grep -q 'again[0-9]*.blocked.example' && [ "$(worker)" != "$first" ] && return
        sleep 0.2
    done
    return 1
}
check "another worker takes the place of a killed one" again
check "status has no complaint" bash -c '! grep -q problem' < <(user agent-sandbox status)

# A flood of names: bounded everywhere, and the daemon goes on.
# shellcheck disable=SC2016 # the inner bash expands
user bash -c 'exec 3<>/dev/udp/203.0.113.53/53; for n in {10000..12999}; do
    printf "\x5a\x5a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05$n\x05flood\x07example\x00\x00\x01\x00\x01" >&3; done' || true
sleep 4
check "the list is bounded" [ "$(user agent-sandbox log --json | wc -l)" -le 1000 ]
check "the container's log is bounded" [ "$(docker logs "$container" 2>&1 | grep -c 'sandboxd: refused')" -le 200 ]
check "and says where it goes on" grep -q 'more is refused; .agent-sandbox log. lists it' <(docker logs "$container" 2>&1)
check "verify still holds" user agent-sandbox verify

# With the option added as told, a new container refuses nothing of it.
docker rm --force --volumes "$container" >/dev/null
workspace "web.test.example:80, mirror.blocked.example, registry.blocked.example" --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
post_create "$blocked"
up
check_not "with the option the names are not refused" grep -q 'refused .*blocked.example' "$WORK/up.log"
check "the daemon asks for them" [ "$(seen registry.blocked.example)" -gt 0 ]
