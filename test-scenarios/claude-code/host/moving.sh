#!/bin/bash
# A listed host whose address changes every few seconds while the real Claude Code works with it: no request fails.
# MOVING_SECONDS is how long the agent works, a minute unless told otherwise.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
: "${STAND_IN:?}" "${MOVING_TLS:?}"

seconds=${MOVING_SECONDS:-60}
# One short command a turn; the agent's own doing takes little beside it.
pause=1.5
turns=$((seconds * 2 / 3))
period=4
# A connection lasts two periods; with an odd number of places the agent comes by all of them.
addresses=(203.0.113.101 203.0.113.102 203.0.113.103 203.0.113.104 203.0.113.105)
places=${#addresses[@]}
api=https://moving.test.example
session=(env "ANTHROPIC_BASE_URL=$api" ANTHROPIC_API_KEY=test NODE_EXTRA_CA_CERTS=/tmp/authority.pem
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 claude --dangerously-skip-permissions -p go --output-format stream-json --verbose)

# Who says where the host is, for a second, and the host at each of its places: it is there for its turn and one more,
# refuses connections after that, and ends those that it has after an answer.
list=$(IFS=,; echo "${addresses[*]}")
containers+=("$(docker run --detach --network "$NETWORK" --ip 203.0.113.54 "$STAND_IN" /stand-in --dns 0.0.0.0:53 \
    --ttl 1 --rotate "$period" --zone "moving.test.example=$list")")
hosts=()
for place in "${!addresses[@]}"; do
    hosts+=("$(docker run --detach --network "$NETWORK" --ip "${addresses[place]}" \
        --volume "$MOVING_TLS:/tls:ro" "$STAND_IN" /stand-in --tls /tls \
        --rotate "$period" --turn "$place/$places" --messages 0.0.0.0:443 --command "sleep $pause" --times "$turns")")
done
containers+=("${hosts[@]}")

# What the hosts were asked by the agent itself since then: a line for each, the address and how many tool results the
# conversation had by then. Side requests bring no tools.
asked() {
    local host
    for host in "${hosts[@]}"; do docker logs --since "$1" "$host" 2>&1; done |
        sed -n 's/.*"answer":"[a-z_]*","at":"\([0-9.]*\)".*"results":\([0-9]*\),.*"tools":[1-9].*/\1 \2/p'
}
# Each turn asks once: a number that is missing was never answered, one that is there twice was repeated.
each_once() { diff <(asked "$1" | cut -d' ' -f2 | sort -n) <(seq 0 "$turns") >"$WORK/difference"; }
retries() { grep -c '"api_retry"\|"is_error":true' "$1" || true; }

workspace moving.test.example --cap-drop=ALL "--network=$NETWORK" --dns=203.0.113.54
up
docker cp "$MOVING_TLS/authority.pem" "$container:/tmp/authority.pem" >/dev/null
since=$(date --iso-8601=ns)
began=$SECONDS
code=0
docker exec --user vscode "$container" timeout $((seconds * 5 + 120)) "${session[@]}" >"$WORK/session.jsonl" || code=$?
check "the agent's session of $turns turns, in $((SECONDS - began)) s, ends well" [ "$code" -eq 0 ]
result=$(grep '"type":"result"' "$WORK/session.jsonl" | tail -n 1)
if [[ $result = *'"subtype":"success"'* && $result = *'"is_error":false'* ]]; then
    pass "its result is no error"
else
    fail "its result is no error: $(sed -n 's/.*"result":"\([^"]*\)".*/\1/p' <<<"$result") ${result:0:600}"
fi
check "it repeated no request" [ "$(retries "$WORK/session.jsonl")" -eq 0 ]
if each_once "$since"; then
    pass "each of its requests arrived, and once"
else
    fail "each of its requests arrived, and once: $(tr '\n' ' ' <"$WORK/difference")"
fi
met=$(asked "$since" | cut -d' ' -f1 | sort | uniq --count)
echo "$met"
check "at several of the host's addresses" [ "$(wc -l <<<"$met")" -ge 3 ]
check "verify holds" docker exec --user vscode "$container" agent-sandbox verify

# With the address of the start for good, as a list of addresses has it, the same session meets refusals: so it would be
# seen if one did.
place=$(($(date +%s) / period % places))
pinned=$(docker run --detach --network "$NETWORK" --add-host "moving.test.example:${addresses[place]}" \
    "$IMAGE_CLAUDE" sleep 600)
containers+=("$pinned")
docker cp "$MOVING_TLS/authority.pem" "$pinned:/tmp/authority.pem" >/dev/null
docker exec --user vscode "$pinned" timeout 60 "${session[@]}" >"$WORK/pinned.jsonl" || true
check "with one address for good requests fail" [ "$(retries "$WORK/pinned.jsonl")" -gt 0 ]
