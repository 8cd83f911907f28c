#!/bin/bash
# A policy file that the image brings: what it lists opens, a wrong one ends the build with its line and column. And the
# preset `packages`, which reads where the image's package managers fetch from.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

file=/etc/agent-sandbox/allow.jsonc
user() { docker exec --user vscode "$container" "$@"; }

# A workspace whose image has the file with the text $2 and the Feature with more options $3, in a folder of its own.
all=$WORK
with_file() {
    WORK=$all/$1
    mkdir "$WORK"
    workspace "" --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
    printf '%s' "$2" >"$WORK/project/.devcontainer/allow.jsonc"
    cat >"$WORK/project/.devcontainer/Dockerfile" <<EOF
FROM $IMAGE
COPY allow.jsonc $file
RUN chmod 644 $file && rm -rf /etc/apt/sources.list /etc/apt/sources.list.d && mkdir -p /etc/apt && \\
    echo 'deb http://mirror.packages.example/debian stable main' >/etc/apt/sources.list && \\
    printf '[global]\nindex-url = https://index.packages.example/simple\n' >/etc/pip.conf
EOF
    sed -i -e 's|"image": ".*"|"build": { "dockerfile": "Dockerfile" }|' \
        -e "s|\"allow\": \"\"|\"policyFile\": \"$file\"$3|" "$WORK/project/.devcontainer/devcontainer.json"
}

with_file right '{
    // What this project needs.
    "presets": ["packages"],
    "allow": [
        { "name": "WEB.test.example.", "ports": [80], "why": "pages" },
    ],
}' ""
up
check "a name that the file lists is reached" reaches "$container" web.test.example
check_not "at its other port it is not" reaches "$container" web.test.example 8080
check_not "another name is not" reaches "$container" evil.test.example
check "allow-check says where the name stands" \
    grep -q "web.test.example:80 is allowed .*$file line 5" <(user agent-sandbox allow-check web.test.example:80)
check "apt's mirror is in the preset packages, with its port" \
    user agent-sandbox allow-check mirror.packages.example:80
check_not "and not with another" user agent-sandbox allow-check mirror.packages.example:443
check "so is pip's index" user agent-sandbox allow-check index.packages.example
check "verify holds" user sh -c "agent-sandbox verify >/dev/null"

# The build ends, and with what its user can mend.
refused() {
    with_file "$1" "$2" "$3"
    if up 2>"$WORK/said"; then
        fail "a file is not refused: $1"
        return
    fi
    if grep -qF "$4" "$WORK/said" "$WORK/up.log"; then pass "a file is refused: $1: $4"; else
        fail "$1: nobody says: $4"
        grep -h "$file\|claude-code:\|sandbox-install" "$WORK/said" "$WORK/up.log" | tail -n 5
    fi
}
refused broken '{
    "allow": ["a.example"
    "b.example"]
}' "" "$file, line 2, column 26"
refused wildcard '{ "allow": ["*.com"] }' "" "$file, line 1, column 13"
refused key '{ "alow": [] }' "" "alow"
refused contradiction '{ "mode": "audit" }' ', "mode": "enforce"' "$file, line 1, column 11: the option"
