#!/bin/bash
# The Quick Start of our README, taken from there: only the image and the reference differ, and what the lab needs.
#
# Row: folder image=base from=folder container=root remote=vscode
# Row: registry image=base from=registry container=root remote=vscode
set -euo pipefail
# shellcheck source=lib_quickstart.sh
source "$(dirname "$0")/lib_quickstart.sh"

# The first jsonc block behind the heading.
awk '/^## /{here = /^## Quick start$/} here && /^```$/ && block{exit} block{print} here && /^```jsonc$/{block = 1}' \
    "$README" >"$WORK/quickstart.jsonc"
check "the README has a Quick Start" [ -s "$WORK/quickstart.jsonc" ]

project first <"$WORK/quickstart.jsonc"
needs_the_login first
up_project first
quickstart_holds /var/lib/claude-code/config

# Another project: its own volume, nobody's login.
project second <"$WORK/quickstart.jsonc"
up_project second
check "another project has no login" [ "$(claude_says loggedIn)" = false ]
logs_in
check "and gets its own" [ "$(claude_says loggedIn)" = true ]
session_works "another project"
