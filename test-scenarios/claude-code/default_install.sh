#!/bin/bash
# Installed as promised, closed, and honest about it.
set -e
# shellcheck source=/dev/null
source dev-container-features-test-lib

check "claude runs and is the version asked for" bash -c "claude --version | grep -F '@CLAUDE_VERSION@'"
check "claude belongs to root and no user can write it" bash -c \
    "[ \"\$(stat -c '%U %a' /usr/local/lib/agent-sandbox/claude)\" = 'root 755' ]"
check "nothing of the installer is left" bash -c "! find / -xdev -name 'sandbox-install*' 2>/dev/null | grep ."
check "no file but the launcher has setuid or setgid" bash -c \
    "[ \"\$(find / -xdev -type f -perm /6000 2>/dev/null)\" = /usr/local/libexec/agent-sandbox/sandbox-launch ]"
check "no firewall program was installed" bash -c "! command -v iptables && ! command -v nft"
check "the user holds no capability" bash -c "grep -q '^CapEff:.0000000000000000$' /proc/self/status"
check "the bounding set is NET_ADMIN alone" bash -c "grep -q '^CapBnd:.0000000000001000$' /proc/self/status"
check "status says in force" agent-sandbox status
check "wait returns" agent-sandbox wait --timeout 5
check "verify holds" agent-sandbox verify
check "verify --json says so" bash -c "agent-sandbox verify --json | grep -q '\"holds\":true'"
check "the state folder belongs to root" bash -c "[ \"\$(stat -c '%U %a' /run/agent-sandbox)\" = 'root 755' ]"
check "the policy belongs to root" bash -c "[ \"\$(stat -c '%U %a' /etc/agent-sandbox/policy.json)\" = 'root 644' ]"
# shellcheck disable=SC2016 # the inner bash expands
check "what a user starts changes nothing: the daemon is the same" bash -c '
    daemon() { for d in /proc/[0-9]*; do
        read -r name <"$d/comm" && [ "$name" = sandboxd ] && echo "${d#/proc/}"; done 2>/dev/null; true; }
    before=$(daemon)
    /usr/local/libexec/agent-sandbox/sandboxd start >/dev/null 2>&1
    [ -n "$before" ] && [ "$(daemon)" = "$before" ]'
check "a user cannot run a daemon of their own" bash -c "! /usr/local/libexec/agent-sandbox/sandboxd run 2>/dev/null"
# shellcheck disable=SC2016 # the inner bash expands
check "a user cannot stop the daemon" bash -c '
    for d in /proc/[0-9]*; do
        read -r name <"$d/comm" && [ "$name" = sandboxd ] && ! kill -9 "${d#/proc/}" && kill=tried
    done 2>/dev/null
    [ "$kill" = tried ] && agent-sandbox status'
check "a program started through exec has no way to more rights" bash -c \
    "agent-sandbox exec grep -q '^NoNewPrivs:.1' /proc/self/status"

reportResults
