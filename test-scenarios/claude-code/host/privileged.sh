#!/bin/bash
# No file of the image gives rights but the launcher, and what came after the Feature is stripped at the next start.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

workspace "" --cap-drop=ALL
up
launcher=/usr/local/libexec/agent-sandbox/sandbox-launch
givers() { docker exec --user root "$1" find / -xdev -type f -perm /6000 2>/dev/null || true; }
status() { docker exec --user vscode "$container" agent-sandbox status "$@"; }

# The base image has some, so the test can tell the difference.
bare=$(docker run --detach "$IMAGE" sleep 600)
containers+=("$bare")
check "without the Feature the image has files with setuid" grep -q /su <(givers "$bare")
check "with it the launcher is the only one" [ "$(givers "$container")" = "$launcher" ]
check "verify says so" grep -q '^PASS  privilege.setuid' <(docker exec --user vscode "$container" agent-sandbox verify)

# As another Feature might, which ran after ours: a file of root's, and a second name for the launcher.
docker exec --user root "$container" sh -c "
    cp /bin/true /usr/local/bin/late && chmod 6755 /usr/local/bin/late
    ln $launcher /usr/local/bin/too"
check "what came later is seen at once" grep -q '^WARN  privilege.setuid.*/usr/local/bin/late (setuid root, setgid)' \
    <(docker exec --user vscode "$container" agent-sandbox verify)
docker restart "$container" >/dev/null
docker exec --user vscode "$container" agent-sandbox wait --timeout 60
for _ in $(seq 100); do
    status --json | grep -q '"privileged":{' && break
    sleep 0.3
done
check "the next start takes it away" [ "$(docker exec "$container" stat -c %a /usr/local/bin/late)" = 755 ]
check "the launcher keeps its own, whatever it is called" [ "$(docker exec "$container" stat -c %a /usr/local/bin/too)" = 6755 ]
check "status tells it" grep -q '^stripped: /usr/local/bin/late$' <(status)
check "the container's log tells it" grep -q 'took setuid.* from 1 files: /usr/local/bin/late' <(docker logs "$container" 2>&1)
check "verify holds again" grep -q '^PASS  privilege.setuid' <(docker exec --user vscode "$container" agent-sandbox verify)
