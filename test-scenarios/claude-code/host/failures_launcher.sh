#!/bin/bash
# The one setuid program, called by a user who means ill: all they get is a sandbox.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

if [ -z "${FAILURES_IMAGE:-}" ]; then
    workspace "web.test.example:80" --cap-drop=ALL
    up
    FAILURES_IMAGE=$(docker inspect --format '{{.Image}}' "$container")
fi
launch=/usr/local/libexec/agent-sandbox/sandbox-launch
box=$(docker run --detach --cap-drop=ALL --cap-add=NET_ADMIN "--network=$NETWORK" "--dns=$DNS" --user vscode \
    "$FAILURES_IMAGE" sleep 1000)
containers+=("$box")
user() { docker exec --user vscode "$box" "$@"; }
in_force() { user agent-sandbox status >/dev/null 2>&1; }

check "it is the only setuid program of ours, and root's" docker exec "$box" bash -c \
    "[ \"\$(find /usr/local -perm /6000 -printf '%p %U %G %m\n')\" = '$launch 0 0 6755' ]"
check "before it was called, the network is open" reaches "$box" "$evil4"

out=$(user setpriv --no-new-privs "$launch" 2>&1) && code=0 || code=$?
check "under no_new_privs it does nothing: $out" [ "$code" = 1 ]
check_not "and no sandbox runs" in_force

# Everything that a caller can bring along: no standard descriptors, others instead, a folder that is gone, an
# environment for the loader and the library, arguments, a strange name.
# shellcheck disable=SC2016 # perl's, not the shell's
user perl -MFcntl -e '
    mkdir "/tmp/gone" and chdir "/tmp/gone" and rmdir "/tmp/gone";
    $^F = 100;
    open(my $held, ">", "/tmp/held") or die;
    umask 0;
    $SIG{CHLD} = $SIG{PIPE} = $SIG{TERM} = "IGNORE";
    %ENV = (LD_PRELOAD => "/tmp/evil.so", GLIBC_TUNABLES => "glibc.malloc.check=3", RUST_BACKTRACE => "full",
        PATH => "/tmp", HOME => "/tmp", TMPDIR => "/tmp", EVIL => "carried along");
    close STDIN; close STDOUT; close STDERR;
    exec { "'"$launch"'" } "/tmp/sandboxd", "run", "--help", "; touch /tmp/argued";
' || true
check "called like that it starts the sandbox" user agent-sandbox wait --timeout 60
check_not "the network is closed" reaches_evil "$box"
check_not "no argument was obeyed" docker exec "$box" test -e /tmp/argued
daemon=$(daemon_of "$box")
check "the daemon is root's in all ids" docker exec "$box" bash -c \
    "grep -qP '^Uid:\t0\t0\t0\t0\$' /proc/$daemon/status && grep -qP '^Gid:\t0\t0\t0\t0\$' /proc/$daemon/status"
check "it holds NET_ADMIN alone" docker exec "$box" grep -qP '^CapPrm:\t0000000000001000$' "/proc/$daemon/status"
check "what it made, no user can write" docker exec "$box" bash -c "! find /run -perm /022 ! -type s ! -type l | grep -v '^/run/lock'"
# Its inside is open to the host's root only.
host=$(docker top "$box" -eo pid,comm | awk '$2 == "sandboxd" { print $1; exit }')
if [ -r "/proc/$host/environ" ]; then
    check_not "nothing of the caller's environment arrived" grep -q . "/proc/$host/environ"
    check_not "nothing that the caller held is open" bash -c "readlink /proc/$host/fd/* | grep -q held"
    check "its working directory is the root" [ "$(readlink "/proc/$host/cwd")" = / ]
else
    echo "  NOT TRIED  the daemon's inside: only root on the host can look at it"
fi

before=$daemon
user bash -c "for _ in \$(seq 40); do $launch & done; wait" >/dev/null 2>&1 || true
check "forty calls at once change nothing" [ "$(daemon_of "$box")" = "$before" ]
check "nor what is open" reaches "$box" web.test.example
check_not "nor what is closed" reaches_evil "$box"

# Killed again and again while it starts, with the daemon gone.
docker exec --user root "$box" bash -c "kill -9 $before"
user bash -c "for n in \$(seq 40); do $launch & sleep 0.00\$((n % 10)); kill -9 \$!; done; wait" >/dev/null 2>&1 || true
check_not "killed while it starts, it leaves nothing open" reaches_evil "$box"
check "and the next call starts it" user agent-sandbox start
check "verify holds" user agent-sandbox verify

# Limits make a start fail, not an open network.
docker exec --user root "$box" bash -c "kill -9 $(daemon_of "$box")"
for limit in "-n 5" "-f 0" "-v 3000" "-t 0"; do
    user bash -c "ulimit $limit; $launch" >/dev/null 2>&1 || true
    check_not "with 'ulimit $limit' nothing is open" reaches_evil "$box"
done
check "without limits it starts again" user agent-sandbox start

# A start that stands still, as a user can bring about from a terminal, holds up the next one for a while, not for ever.
held=$(docker run --detach --cap-drop=ALL --cap-add=NET_ADMIN "--network=$NETWORK" "--dns=$DNS" --user vscode \
    "$FAILURES_IMAGE" sleep 1000)
containers+=("$held")
docker exec --detach --user root "$held" flock /run/agent-sandbox.start.lock sleep 1000
sleep 1
check "while a start stands still, the network is open" reaches "$held" "$evil4"
out=$(timeout 30 docker exec --user vscode "$held" agent-sandbox start 2>&1) && code=0 || code=$?
check "another start gives up with a sentence: $out" [ "$code" = 1 ]
check "which says what to do" grep -q "another start.*restart the container" <<<"$out"
check_not "and has closed the network" reaches_evil "$held"
