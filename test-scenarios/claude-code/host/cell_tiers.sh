#!/bin/bash
# The agent's cell under seccomp profiles that take its means away, one after the other: whatever is left holds, what is
# open is said at the start and by verify, and an agent works. Without any filter nothing is started.
#
# The profiles are no copies of Docker's: they allow everything but what a container must not have, and then refuse what
# their row says. So what the cell closes, the cell has closed.
#
# Row: default image=base open=
# Row: landlock image=base open=cell.home,cell.reading,cell.signals refuse=landlock errno=1
# Row: landlock-unknown image=base open=cell.home,cell.reading,cell.signals refuse=landlock errno=38
# Row: notifications image=base open=cell.local-port refuse=notifications errno=1
# Row: closed image=base open=cell.home,cell.local-port,cell.reading,cell.signals refuse=landlock,notifications errno=1
# Row: closed-unknown image=base open=cell.home,cell.local-port,cell.reading,cell.signals refuse=landlock,notifications errno=22
# Row: no-filter image=base refuse=landlock,filters errno=1
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

api=http://api.test.example:8099
own=/workspaces/own
user() { docker exec --user vscode --workdir "$own" "$container" "$@"; }
celled() { user agent-sandbox exec "$@"; }

# A filter that notifies is asked for with flag 8; filters at all with seccomp(2), or prctl(2) 22.
refusals() {
    local names
    case $1 in
    landlock) names='"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"' args= ;;
    notifications) names='"seccomp"' args='{"index": 1, "value": 8, "valueTwo": 8, "op": "SCMP_CMP_MASKED_EQ"}' ;;
    filters) names='"seccomp"' args= ;;
    prctl) names='"prctl"' args='{"index": 0, "value": 22, "op": "SCMP_CMP_EQ"}' ;;
    esac
    printf ', {"names": [%s], "action": "SCMP_ACT_ERRNO", "errnoRet": %s, "args": [%s]}' "$names" "$ROW_ERRNO" "$args"
}
profile() {
    local what
    printf '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ERRNO", "names": ["acct", "add_key",
        "bpf", "delete_module", "finit_module", "init_module", "kexec_file_load", "kexec_load", "keyctl", "mount",
        "move_mount", "open_by_handle_at", "perf_event_open", "pivot_root", "reboot", "request_key", "setns", "swapoff",
        "swapon", "umount2", "unshare", "userfaultfd"]}'
    for what in ${ROW_REFUSE//,/ }; do
        refusals "$what"
        if [ "$what" = filters ]; then refusals prctl; fi
    done
    printf ']}\n'
}
security=()
if [ -n "${ROW_REFUSE:-}" ]; then
    profile >"$WORK/profile.json"
    security=("--security-opt=seccomp=$WORK/profile.json")
fi
# Root has no right to give it to somebody.
prepare() { docker exec --user root "$container" install -d -m 777 "$own"; }

# Nothing of the daemon runs without filters either, so this container is started past it, and root's policy lets an
# agent start without the network: what refuses then is the cell.
if [ "$ROW" = no-filter ]; then
    workspace "" --cap-drop=ALL
    up
    image=$(docker inspect --format '{{.Config.Image}}' "$container")
    container=$(docker run --detach --network none --cap-drop=ALL "${security[@]}" --entrypoint sleep "$image" 600)
    containers+=("$container")
    prepare
    policy=/etc/agent-sandbox/policy.json
    check_not "no agent is started while the sandbox is not in force" celled touch "$own/ran"
    docker exec --user root "$container" cat "$policy" |
        sed 's/"without": *\[[^]]*\]/"without":["network"]/' >"$WORK/policy.json"
    check "the policy can let the network be missing" grep -q '"without":\["network"\]' "$WORK/policy.json"
    docker exec --interactive --user root "$container" tee "$policy" <"$WORK/policy.json" >/dev/null
    code=0
    celled touch "$own/ran" 2>"$WORK/said" || code=$?
    check "without filters no agent is started" [ "$code" -ne 0 ]
    check "nor anything in its place" user test ! -e "$own/ran"
    check "its last line says why and what to do" grep -q \
        '^agent-sandbox: the agent is not started, .* takes no filter for system calls (.*): run the container under a profile' \
        <(tail -n 1 "$WORK/said")
    sed 's/^/        /' "$WORK/said"
    exit
fi

workspace api.test.example:8099 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS" "${security[@]}"
up
prepare
if grep -q landlock <<<"${ROW_REFUSE:-}"; then
    check "the profile refuses Landlock" [ "$(user perl -e 'print syscall(444, 0, 0, 1)')" = -1 ]
fi

# What the cell says of itself.
facts=$(celled agent-sandbox cell --json 2>"$WORK/said")
echo "        $facts"
sed 's/^/        /' "$WORK/said"
says() { grep -q "$1" <<<"$facts"; }
is_closed=no
if says '"unix_sockets":"closed"'; then is_closed=yes; fi
if grep -q notifications <<<"${ROW_REFUSE:-}" && ! says '"unix_sockets":"landlock'; then
    check "Unix sockets are closed" [ "$is_closed" = yes ]
    check "and it is said which programs that breaks" says 'browsers.*fail'
else
    check "Unix sockets are mediated" [ "$is_closed" = no ]
fi
# Of a kernel whose Landlock is too old for a row, the cell must say so.
open=$ROW_OPEN
if ! grep -q landlock <<<"${ROW_REFUSE:-}"; then
    for pair in writes:cell.home tracing:cell.reading signals:cell.signals; do
        if says "\"${pair%:*}\":false"; then open+=,${pair#*:}; fi
    done
fi
if [ "$is_closed" = yes ]; then open+=,cell.own-sockets; fi
open=$(tr ',' '\n' <<<"$open" | grep . | sort) || true
if [ -z "$open" ] && says '"open":\[\]'; then
    check_not "a start says nothing where nothing is open" grep . "$WORK/said"
else
    check "a start says once what is open" [ "$(grep -c '^agent-sandbox: THIS CELL IS WEAKER' "$WORK/said")" = 1 ]
    check "in one line" [ "$(wc -l <"$WORK/said")" = 1 ]
fi

# A row passes only where the same attempt outside a cell gets through.
user agent-sandbox verify >"$WORK/verify" 2>&1 || true
grep ' cell\.' "$WORK/verify" | sed 's/^/        /'
rows() { sed -nE "s/^($1) +(cell\.[a-z-]*).*/\2/p" "$WORK/verify" | sort; }
check "no row fails" [ -z "$(rows FAIL)" ]
check "what is open is what was said" [ "$(rows WARN)" = "$open" ]
check "all others are tried, and hold" [ "$(rows 'PASS|WARN' | wc -l)" = 11 ]
check "verify holds" user sh -c "agent-sandbox verify >/dev/null"

# Somebody outside listens, where an editor would. The cell links or moves the socket into its workspace, if it can.
# shellcheck disable=SC2016 # perl's, as the next one
listener='use IO::Socket::UNIX; unlink $ARGV[0]; $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9) or die;
    while ($c = $s->accept) { print $c "reached\n"; close $c }'
# shellcheck disable=SC2016
client='use IO::Socket::UNIX; $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$!\n"; print <$s>'
docker exec --detach --user vscode "$container" perl -e "$listener" /tmp/vscode-ipc-test.sock
docker exec --detach --user vscode "$container" perl -e "$listener" /tmp/vscode-git-test.sock
for socket in ipc git; do
    for _ in $(seq 50); do
        if user test -S "/tmp/vscode-$socket-test.sock"; then break; fi
        sleep 0.1
    done
    check "outside, vscode-$socket-test.sock is reached" \
        [ "$(user perl -e "$client" "/tmp/vscode-$socket-test.sock" 2>&1)" = reached ]
done
celled sh -c 'ln /tmp/vscode-ipc-test.sock linked; mv /tmp/vscode-git-test.sock moved' >/dev/null 2>&1 || true
for name in linked moved; do
    if user test -S "$own/$name"; then
        check "outside, the $name socket is reached" [ "$(user perl -e "$client" "$name" 2>&1)" = reached ]
    elif [[ $open = *cell.home* ]]; then
        fail "nothing keeps the cell from having a $name socket, and there is none"
    fi
    check_not "in the cell the $name one is not" grep -q reached <(celled perl -e "$client" "$name" 2>/dev/null)
done
check_not "nor the one where it was" grep -q reached <(celled perl -e "$client" /tmp/vscode-ipc-test.sock 2>/dev/null)

# Its own sockets work wherever they are not closed.
# shellcheck disable=SC2016 # perl's
both='use IO::Socket::UNIX; $s = IO::Socket::UNIX->new(Local => "own.sock", Listen => 9) or die "$!\n";
    unless (fork) { $c = IO::Socket::UNIX->new(Peer => "own.sock") or die "$!\n"; print <$c>; exit }
    $c = $s->accept; print $c "reached\n"; close $c; wait'
talk=$(celled perl -e "$both" 2>&1 | tail -n 1) || true
if [ "$is_closed" = yes ]; then
    check "its own sockets fail with EACCES: $talk" [ "$talk" = "Permission denied" ]
else
    check "its own sockets work: $talk" [ "$talk" = reached ]
fi

# And an agent works, with a tool that it runs.
since=$(date --iso-8601=ns)
out=$(user env "ANTHROPIC_BASE_URL=$api" ANTHROPIC_API_KEY=test CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 \
    timeout 120 claude --dangerously-skip-permissions -p go 2>&1) || true
if docker logs --since "$since" "$HOST_API" 2>&1 | grep -q 'agent-runs-as-[1-9]'; then
    pass "an agent works"
else
    fail "an agent works: $out"
fi
