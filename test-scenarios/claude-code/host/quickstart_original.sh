#!/bin/bash
# The original Feature's Quick Start, pasted: only the reference differs, and what the lab needs.
#
# Row: folder image=base from=folder container=root remote=vscode
# Row: registry image=base from=registry container=root remote=vscode
set -euo pipefail
# shellcheck source=lib_quickstart.sh
source "$(dirname "$0")/lib_quickstart.sh"

# Its volumes have fixed names. Where somebody uses them already, they are not ours to write to.
for volume in claude-code-config claude-code-data; do
    if grep -qxF "$volume" <<<"$volumes_before"; then
        fail "this Docker has a volume $volume already, which the test would write to; remove it, or rename it"
        exit
    fi
done

project original <"$(dirname "$0")/quickstart_original.jsonc"
needs_the_login original
up_project original
quickstart_holds /home/vscode/.claude
check "its own command, once more" in_project sudo /usr/local/bin/init-firewall.sh
check_not "sudo runs nothing else" in_project sudo id
