#!/bin/bash
# The real Claude Code, started past `claude` on PATH as an editor's extension or an SDK would: it takes no prompt and
# runs no tool outside the agent's cell, whatever its flags and settings say, and does so once the managed settings are
# away. Through the wrapper it works.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

api=http://api.test.example:8099
session=(env "ANTHROPIC_BASE_URL=$api" ANTHROPIC_API_KEY=test CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 timeout 120)
real=/usr/local/lib/agent-sandbox/claude
folder=/usr/local/libexec/agent-sandbox
settings=/etc/claude-code/managed-settings.d/agent-sandbox.json

told() { docker logs --since "$1" "$HOST_API" 2>&1; }
as_user() { docker exec --user vscode "$container" "$@"; }

workspace api.test.example:8099 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
up

# What a session says that is begun with these words is then in `out`.
since='' out=''
session() {
    since=$(date --iso-8601=ns)
    out=$(as_user "${session[@]}" "$@" --dangerously-skip-permissions -p go 2>&1) || true
}
refused() {
    local claim=$1
    shift
    session "$@"
    if grep -q 'blocked by hook' <<<"$out" && grep -q 'cell --check .*: agent-sandbox: ' <<<"$out" &&
        ! told "$since" | grep -q agent-runs-as; then pass "$claim"; else fail "$claim: $out"; fi
}
works() {
    local claim=$1
    shift
    session "$@"
    if told "$since" | grep -q 'agent-runs-as-[1-9]'; then pass "$claim"; else fail "$claim: $out"; fi
}

works "the shim's session works" claude
refused "the real program by its own path is refused" "$real"
as_user sh -c "cp $real ~/other-name && mkdir -p ~/.claude && echo '{\"disableAllHooks\":true}' >~/.claude/settings.json"
refused "a copy by another name is refused" /home/vscode/other-name
refused "hooks turned off by the user's settings change nothing" env CLAUDE_CONFIG_DIR=/home/vscode/.claude "$real"
refused "nor turned off by a flag" "$real" --settings '{"disableAllHooks":true}'
refused "nor by other sources of settings" "$real" --setting-sources ""
refused "nor does --bare" "$real" --bare
refused "nor does safe mode" "$real" --safe-mode
works "a program that is handed to the wrapper works" "$folder/claude-process-wrapper" /home/vscode/other-name
check_not "the wrapper alone is no agent" as_user "$folder/claude-process-wrapper"

# A check that cannot be asked is a no.
docker exec --user root "$container" mv "$folder/agent-sandbox" "$folder/away"
session "$real"
check "without the program that answers it is refused, too" grep -q 'blocked by hook' <<<"$out"
docker exec --user root "$container" mv "$folder/away" "$folder/agent-sandbox"

# Before each tool, as well as before a prompt: with the first hook away the second still holds.
docker exec --user root "$container" sed -i s/UserPromptSubmit/Stop/ "$settings"
session "$real"
check "the tool is refused by itself" grep -q 'PreToolUse.*hook' <(told "$since")
check_not "and did not run" grep -q agent-runs-as <(told "$since")

docker exec --user root "$container" rm "$settings"
works "without the managed settings the same session works" "$real"
