#!/bin/bash
set -euo pipefail
redis-server --port 0 --unixsocket "$PWD/redis.sock" --save '' --daemonize yes >/dev/null
for _ in $(seq 100); do redis-cli -s redis.sock ping >answer 2>&1 && break; sleep 0.1; done
grep -q PONG answer
redis-cli -s redis.sock shutdown nosave

ssh-keygen -q -t ed25519 -N '' -f host
ssh-keygen -q -t ed25519 -N '' -f user
eval "$(ssh-agent)" >/dev/null
ssh-add -q user
/usr/sbin/sshd -D -f /dev/null -h "$PWD/host" -p 18083 -o ListenAddress=127.0.0.1 -o StrictModes=no -o PidFile=none \
    -o "AuthorizedKeysFile=$PWD/user.pub" -o UsePAM=no 2>sshd.log & sshd=$!
through() { ssh -p 18083 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"; }
for _ in $(seq 100); do through 127.0.0.1 true 2>ssh.log && break; sleep 0.1; done
master=(-o "ControlPath=$TMPDIR/master")
[ "$(through "${master[@]}" -o ControlMaster=auto -o ControlPersist=20 127.0.0.1 echo over ssh 2>ssh.log)" = "over ssh" ]
[ "$(through "${master[@]}" 127.0.0.1 echo over its socket 2>>ssh.log)" = "over its socket" ]
ssh "${master[@]}" -O exit 127.0.0.1 2>>ssh.log
kill $sshd "$SSH_AGENT_PID"

# Docker's interface over TCP, as a proxy of it has it.
cat >engine.py <<'END'
import http.server
class Engine(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        self.send_response(200)
        self.send_header('Api-Version', '1.41')
        self.end_headers()
        if self.command == 'GET': self.wfile.write(b'[]')
http.server.HTTPServer(('127.0.0.1', 18084), Engine).serve_forever()
END
/usr/bin/python3 engine.py 2>engine.log & engine=$!
for _ in $(seq 100); do DOCKER_HOST=tcp://127.0.0.1:18084 docker ps >containers 2>docker.log && break; sleep 0.1; done
grep -q 'CONTAINER ID' containers
kill $engine

echo '<p id=a></p><script>a.textContent = "script " + 6 * 7</script>' >page.html
browser=$(command -v chromium || command -v google-chrome)
"$browser" --headless --no-sandbox --dump-dom "file://$PWD/page.html" 2>chromium.log | grep >/dev/null '>script 42<'
