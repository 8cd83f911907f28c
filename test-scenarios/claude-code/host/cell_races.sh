#!/bin/bash
# An editor's server makes sockets, as VS Code does, all the time and in every way; a program in the agent's cell races it
# for them, by every way that leads to one: ten thousand races, and it gets none. The same program outside gets thousands,
# beside a loop that deletes sockets every thirty seconds, as others have it, almost as many.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
base=$IMAGE_ATTACKS

RACES=${RACES:-10000}
outside=$((RACES / 10))
tools=$(dirname "$0")/cell

workspace "" --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
# The user's in the container, whoever that is here.
chmod a+rwx "$WORK/project"
up
project=$(docker inspect --format '{{range .Mounts}}{{if eq .Type "bind"}}{{println .Destination}}{{end}}{{end}}' \
    "$container" | grep ^/workspaces/)
as_user() { docker exec --user vscode --workdir "$project" "$container" "$@"; }
for file in sockets.js racer.py abstract.py; do docker cp "$tools/$file" "$container:/opt/$file" >/dev/null; done

# The cell's own folder on the same file system as the sockets, which the first cell makes.
own=/tmp/agent-sandbox-1000/tmp
as_user agent-sandbox exec true
as_user mkdir "$project/names"

# Both makers run for as long as one contest lasts, and are ended by their pids.
makers_start() {
    as_user rm -rf "$project/names/pid" /tmp/greeted
    as_user touch /tmp/greeted
    as_user sh -c "node /opt/sockets.js '$project/names' >/tmp/made & python3 /opt/abstract.py & echo \$! >/tmp/abstract.pid" &
    makers=$!
    until as_user test -s "$project/names/pid" -a -s "$project/names/ports"; do sleep 0.1; done
}
makers_end() {
    as_user sh -c "kill \$(cat '$project/names/pid' /tmp/abstract.pid)"
    wait "$makers" || true
    # What was left behind.
    as_user sh -c 'rm -rf /tmp/vscode-* /tmp/user /tmp/runtime-* ~/.gnupg-like'
}
# What was counted under a name, in the one line of JSON of the last contest.
of() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$WORK/result.json"; }
greeted() { as_user sh -c 'grep -c "^greeted" /tmp/greeted || true'; }

# contest RACES COMMAND...: the racer is started by this command.
contest() {
    local races=$1
    shift
    makers_start
    as_user "$@" python3 /opt/racer.py "$project/names" "$own" "$races" >"$WORK/result.json" || true
    makers_end
    echo "  $(cat "$WORK/result.json")"
    echo "  made: $(as_user cat /tmp/made)"
}

contest "$RACES" agent-sandbox exec
check "$(of races) races were run from the cell, with $(of attempted) connects, in $(of seconds) s" \
    [ "$(of races)" -ge "$RACES" ]
check "the cell's programs reached none of the sockets" [ "$(of connected)" = 0 ]
check "none of the sockets saw one of them" [ "$(greeted)" = 0 ]
check "what the cell listens on itself is reached meanwhile" [ "$(of swapping)" -gt 0 -a "$(of swapping_links)" -gt 0 ]
check "ports were raced for, too" [ "$(of ports)" -gt 0 ]

# The same program and the same sockets: a test that can tell the difference.
contest "$outside" env
check "outside the cell $(of connected) connects of $(of attempted) get through, in $outside races" \
    [ "$(of connected)" -ge "$outside" ]
check "the sockets saw these" [ "$(greeted)" -ge "$outside" ]
for trick in path relative dots symlink through-a-linked-folder proc-root proc-self-root proc-cwd hard-link rename \
    swapped-address swapped-link tight-loop port abstract; do
    check "outside, $trick gets through" grep -q "\"usable\": {[^}]*\"$trick\": [1-9]" "$WORK/result.json"
done

# What others do: a process that deletes the sockets every thirty seconds.
# shellcheck disable=SC2016 # the inner shell expands
as_user sh -c 'echo $$ >/tmp/loop.pid; while :; do rm -f /tmp/vscode-*.sock; sleep 30; done' &
contest "$outside" env
# shellcheck disable=SC2016 # the inner shell expands
as_user sh -c 'kill "$(cat /tmp/loop.pid)"'
echo "  beside a loop that deletes them every 30 s: $(of connected) connects of $(of attempted) get through"
check "a loop that deletes sockets leaves most of them" [ "$(of connected)" -ge "$outside" ]
