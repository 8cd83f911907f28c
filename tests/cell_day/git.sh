#!/bin/bash
# What is in single quotes is for another shell, or another program.
# shellcheck disable=SC2016
set -euo pipefail
git init -q .
git config user.email day@example.com
git config user.name Day
printf '#!/bin/sh\ntouch hook-ran\n' >.git/hooks/pre-commit
chmod +x .git/hooks/pre-commit
mkdir part && echo one >part/file && git add . && git commit -qm one
[ -e hook-ran ]
git branch other
git worktree add -q tree other
git -C tree commit -q --allow-empty -m two
git merge -q other
git clone -q . clone && git -C clone log --oneline | grep >/dev/null two
git gc -q && git stash list && git fsck 2>/dev/null
GIT_EDITOR='sh -c "echo edited >\$1" --' git commit -q --allow-empty && git log -1 --format=%s | grep >/dev/null edited
# A daemon on a Unix socket that outlives the command.
printf 'protocol=http\nhost=x\nusername=u\npassword=p\n\n' | git credential-cache --timeout=60 store
printf 'protocol=http\nhost=x\n\n' | git credential-cache get | grep >/dev/null password=p
git credential-cache exit
