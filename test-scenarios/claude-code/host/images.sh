#!/bin/bash
# Every base image and kind of user: it installs, starts closed, and the agent's program is there, or is refused.
#
# Row: bullseye image=bullseye container=root remote=vscode bare=yes
# Row: bookworm image=bookworm container=root remote=vscode
# Row: trixie image=trixie container=root remote=vscode bare=yes
# Row: sid image=sid container=root remote=vscode bare=yes
# Row: musl image=musl container=root remote=vscode
# Row: node-user image=node container=node remote=node
# Row: late-user image=rootonly container=root remote=late
# Row: other-uid image=bookworm container=root remote=vscode
# Row: root-only image=rootonly container=root remote=root
# Row: arm64 image=arm64 container=root remote=vscode
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

base=$ROW_IMAGE remote=$ROW_REMOTE
version="$CLAUDE_VERSION (Claude Code)"
says_version() { [ "$("$@" 2>&1)" = "$version" ]; }
in_image() { docker run --rm --network none --entrypoint /bin/sh "$image" -c "$1"; }
as_remote() { docker exec --user "$remote" "$container" "$@"; }
status_of() {
    local code=0
    "$@" >/dev/null 2>&1 || code=$?
    echo "$code"
}
# Nothing of ours belongs to a user or can be written by one, and nothing of the installer is left.
ours_is_roots() {
    ! in_image 'find /usr/local/bin /usr/local/lib/agent-sandbox /usr/local/libexec /etc/agent-sandbox \
        \( ! -user 0 -o ! -type l -perm -002 \) 2>&1' | grep .
}
no_installer() { ! in_image 'find / -xdev -name "sandbox-install*" 2>/dev/null' | grep .; }
no_tools() {
    docker run --rm --entrypoint /bin/sh "$base" -c '
        ! ls /etc/ssl/certs/ca-certificates.crt 2>/dev/null && for tool in curl wget git sudo; do
            ! command -v "$tool" || exit 1
        done'
}
installed() {
    check "claude --version before the first start" says_version in_image "claude --version"
    check "what was installed belongs to root" ours_is_roots
    check "nothing of the installer is left" no_installer
    if [ "${ROW_BARE:-}" = yes ]; then check "the image has no curl, wget, git, sudo, authorities" no_tools; fi
}

# Another architecture: the image is built under emulation. The kernel's netlink is not to be had there, so nothing
# of it is started.
if [ "$ROW" = arm64 ]; then
    workspace ""
    image=agent-sandbox-test/arm64-with-feature
    "$DEVCONTAINER" build --workspace-folder "$WORK/project" --image-name "$image" >/dev/null 2>"$WORK/build.log" || {
        tail -n 20 "$WORK/build.log" >&2
        fail "the image is built"
        exit
    }
    pass "the image is built"
    installed
    machine() { in_image "od -An -t x1 -j 18 -N 2 $1"; }
    for program in /usr/local/lib/agent-sandbox/claude /usr/local/bin/agent-sandbox \
        /usr/local/libexec/agent-sandbox/sandboxd; do
        check "$program is for aarch64" [ "$(machine "$program")" = " b7 00" ]
    done
    docker rmi "$image" >/dev/null
    exit
fi

workspace web.test.example:80 --cap-drop=ALL "--network=$NETWORK" "--dns=$DNS"
case "$ROW" in
late-user)
    # A Feature that is installed after ours makes the user.
    mkdir "$WORK/project/.devcontainer/late"
    echo '{ "id": "late", "version": "1.0.0", "name": "A user" }' >"$WORK/project/.devcontainer/late/devcontainer-feature.json"
    # shellcheck disable=SC2016 # the image's shell expands
    printf '#!/bin/sh\nset -e\n[ -e /usr/local/bin/claude ] && ! id late\nuseradd --create-home late\n' \
        >"$WORK/project/.devcontainer/late/install.sh"
    sed -i 's|"features": {|"overrideFeatureInstallOrder": ["./claude-code"], "features": { "./late": {},|' \
        "$WORK/project/.devcontainer/devcontainer.json"
    up
    ;;
other-uid)
    up_as 4242
    check "the user's uid is the host user's" [ "$(as_remote id -u)" = "$host_uid" ]
    check "its home is its own" as_remote sh -c 'touch ~/mine'
    ;;
*) up ;;
esac
image=$(docker inspect --format '{{.Image}}' "$container")
installed
check "the container's user is $ROW_CONTAINER" [ "$(docker exec "$container" id -un)" = "$ROW_CONTAINER" ]

plain=$(docker run --detach --network "$NETWORK" --dns "$DNS" --entrypoint /bin/sh "$base" -c 'sleep 600')
containers+=("$plain")
reached_by_root() { local remote=root && reaches "$@"; }
for address in "$evil4" "$evil6"; do
    check "without the Feature $address is reached" reached_by_root "$plain" "$address"
done
check_not "with it, it is not" reaches_evil "$container"
check "an allowed name is" reaches "$container" web.test.example
# Root may ask DNS and make rules; it is a user whom nothing is open to.
verifier=$remote
if [ "$remote" = root ]; then verifier=1000; fi
check "agent-sandbox verify holds" docker exec --user "$verifier" "$container" agent-sandbox verify
check "claude --version in the running container" says_version as_remote claude --version
if [ "$remote" = root ]; then
    check "claude is refused to root" [ "$(status_of as_remote claude -p go)" -eq 3 ]
    exit
fi
# Its configuration is its own, whatever its uid, on a volume.
folder=$({ as_remote claude auth status || true; } | sed -n 's/^ *"configDirectory": "\(.*\)".*/\1/p')
check "claude starts, with its configuration in $folder" [ "$folder" = /var/lib/claude-code/config ]
check "it belongs to the user alone" [ "$(as_remote stat -c '%u %a' "$folder")" = "$(as_remote id -u) 700" ]
check "it can be written" as_remote touch "$folder/.claude.json" "$folder/new"
