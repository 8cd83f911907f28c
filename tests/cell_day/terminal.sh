#!/bin/bash
# What is in single quotes is for another shell, or another program.
# shellcheck disable=SC2016
set -euo pipefail
tmux new-session -d 'echo in tmux >"$PWD/tmux.said"; sleep 60'
for _ in $(seq 100); do [ -s tmux.said ] && break; sleep 0.1; done
tmux list-sessions | grep >/dev/null '1 windows'
tmux kill-server
screen -dmS day sleep 60
screen -ls | grep >/dev/null '\.day'
screen -S day -X quit

script -qc 'tty; echo to the terminal >/dev/tty' /dev/null >script.log
grep -q /dev/pts script.log && grep -q 'to the terminal' script.log
# Jobs are stopped and fetched back.
printf 'sleep 0.2 &\nfg\necho back-$?\nexit\n' | script -qc 'bash --norc -i' /dev/null >jobs.log
grep -q 'back-0' jobs.log
expect -c 'spawn bash --norc; send "echo a\$((1 + 1))b\r"; expect a2b; send "exit\r"; expect eof' >expect.log
grep -q a2b expect.log

diff <(echo a) <(echo a)
mkfifo pipe && { echo through >pipe & } && [ "$(cat pipe)" = through ]
flock lock true && nice true && timeout 5 true && setsid -w true && nohup true 2>/dev/null
