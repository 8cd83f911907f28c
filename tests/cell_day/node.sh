#!/bin/bash
set -euo pipefail
# A package from a server, which is one of the cell's own: the gate has tests of its own.
mkdir -p served/package
echo '{"name":"dep","version":"1.0.0","bin":{"dep":"cli.js"},"scripts":{"postinstall":"echo done>ran"}}' >served/package/package.json
printf '#!/usr/bin/env node\nconsole.log("dep runs")\n' >served/package/cli.js
tar czf served/dep.tgz -C served package
cat >server.js <<'END'
const fs = require('fs'), http = require('http');
http.createServer((q, r) => fs.createReadStream('served' + q.url).on('error', () => r.writeHead(404).end()).pipe(r))
    .listen(18080, 'localhost');
END
node server.js & server=$!
for _ in $(seq 100); do curl -sf -o dep.tgz localhost:18080/dep.tgz && break; sleep 0.1; done
npm init -y >npm.log
npm install --silent --no-audit --no-fund http://localhost:18080/dep.tgz >>npm.log 2>&1
[ -e node_modules/dep/ran ]
[ "$(npx --no-install dep)" = "dep runs" ]
kill $server

cat >day.mjs <<'END'
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
import { fork } from 'node:child_process';
import cluster from 'node:cluster';
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
const self = fileURLToPath(import.meta.url);
const get = options => new Promise((done, failed) =>
    http.get(options, reply => reply.on('data', text => done(String(text)))).on('error', failed));
if (!isMainThread) parentPort.postMessage('worker');
else if (process.argv[2] === 'child') {
    process.send('fork');
    process.on('message', (text, socket) => socket ? socket.end('handed on') : process.disconnect());
} else if (cluster.isWorker) http.createServer((q, r) => r.end('cluster')).listen(18081);
else {
    console.log((await once(new Worker(self), 'message'))[0]);
    const child = fork(self, ['child']);
    console.log((await once(child, 'message'))[0]);
    // A connection goes to the child by a Unix socket.
    const tcp = net.createServer(peer => child.send('take', peer)).listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    console.log(String((await once(net.connect(tcp.address().port, '127.0.0.1'), 'data'))[0]));
    child.send('end');
    tcp.close();
    const worker = cluster.fork();
    await once(cluster, 'listening');
    console.log(await get('http://localhost:18081/'));
    worker.kill();
    for (const path of ['relative.sock', process.env.TMPDIR + '/absolute.sock', '\0abstract']) {
        const server = http.createServer((q, r) => r.end('unix')).listen(path);
        await once(server, 'listening');
        console.log(await get({ socketPath: path, path: '/' }));
        server.close();
    }
    process.exit();
}
END
node day.mjs >day.log
diff day.log - <<'END'
worker
fork
handed on
cluster
unix
unix
unix
END

node --inspect-brk=127.0.0.1:18082 day.mjs 2>inspect.log & inspected=$!
for _ in $(seq 100); do curl -sf -o version 127.0.0.1:18082/json/version && break; sleep 0.1; done
grep -q node.js version
kill $inspected
