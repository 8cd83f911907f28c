#!/bin/bash
# Audit mode: what a rule could allow gets out and is noted, everybody is told that nothing is enforced, and the option
# that the log prints is the one with which the same works when it is enforced.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

user() { docker exec --user vscode "$container" "$@"; }
# connects_by_proxy HOST:PORT
connects_by_proxy() {
    # shellcheck disable=SC2016 # the container's shell expands
    user timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/15080 &&
        printf "CONNECT $0 HTTP/1.1\r\nHost: $0\r\n\r\n" >&3 && read -r line <&3 && [[ $line == "HTTP/1.1 200 "* ]]' "$1"
}
loud="AUDIT MODE, NOTHING IS ENFORCED"
hosts=("evil.test.example 80" "evil.test.example 8080" "web.test.example 8080")

# Each workspace in a folder of its own: the CLI takes a container that it has made for the same one.
all=$WORK
another() {
    WORK=$all/$1
    mkdir "$WORK"
}

# Enforced first: what the same probes meet then.
another enforced
workspace web.test.example:80 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
up
for host in "${hosts[@]}"; do
    # shellcheck disable=SC2086 # a host and a port
    check_not "enforced, $host is not reached" reaches "$container" $host
done
check_not "and nobody speaks of audit mode" grep -q "$loud" "$WORK/up.log" <(user agent-sandbox status)

another audit
workspace web.test.example:80 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
sed -i 's|"allow":|"mode": "audit", &|' "$WORK/project/.devcontainer/devcontainer.json"
up
for host in "${hosts[@]}"; do
    # shellcheck disable=SC2086 # a host and a port
    check "in audit mode, $host is reached" reaches "$container" $host
done
check "by the proxy, too" connects_by_proxy evil.test.example:8080
check_not "but not at port 53, which no entry could allow" connects_by_proxy evil.test.example:53
check "devcontainer up says that nothing is enforced" grep -q "$loud" "$WORK/up.log"
check "so does the container's log" grep -q "$loud" <(docker logs "$container" 2>&1)
for command in "status" "log" "wait" "exec true"; do
    # shellcheck disable=SC2086 # a command and its arguments
    check "so does agent-sandbox $command" grep -q "$loud" <(user agent-sandbox $command 2>&1)
done
check "so does init-firewall.sh" grep -q "$loud" <(user sudo /usr/local/bin/init-firewall.sh 2>&1)
check_not "verify does not hold" user sh -c "agent-sandbox verify >/dev/null"
check "and says why" grep -q "^FAIL  policy.enforced .*$loud" <(user agent-sandbox verify)
# What verify has tried is noted beside them.
noted=$(user agent-sandbox log | grep -cE '  (evil|web)\.test\.example:[0-9]+.* \(let through\)') || true
if [ "$noted" -eq 4 ]; then
    pass "each was noted as let through"
else
    fail "each was noted as let through: $(user agent-sandbox log)"
fi
option=$(user agent-sandbox log | sed -n 's/^ *"allow": "\(.*\)"$/\1/p')
check "with the option to paste" \
    [ "$option" = "web.test.example:80, evil.test.example:80, evil.test.example:8080, web.test.example:8080" ]

another option
workspace "$option" --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
up
for host in "${hosts[@]}"; do
    # shellcheck disable=SC2086 # a host and a port
    check "with that option, enforced, $host is reached" reaches "$container" $host
done
check "and verify holds" user sh -c "agent-sandbox verify >/dev/null"
check "and has left nothing in the log" grep -qx "nothing was refused" <(user agent-sandbox log)
check "no option is proposed that would not be taken" grep -q "no entry can allow it" \
    <(user agent-sandbox allow-check evil.test.example:53)
check_not "a command explains itself" grep -q "invalid option" <(user agent-sandbox status --help 2>&1)
check "and is the version that runs" [ "$(user agent-sandbox --version)" = \
    "agent-sandbox $(user agent-sandbox status --json | sed 's/.*"version":"\([^"]*\)".*/\1/')" ]
