// Makes sockets as VS Code's server does: the same names, folders and modes, listened on by Node, after delays of any
// length, made anew after they are gone, and many at once. Runs outside the cell until it is ended, and then says whom it
// let in: that is what an attack is judged by, whatever the attacker believes.
//
// Usage: node sockets.js FOLDER. What exists is written there for the attacker, who could find it out as well, and a
// line "greeted KIND" for each connection to /tmp/greeted.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const net = require("net");
const path = require("path");

const folder = process.argv[2];
const uid = process.getuid();
const greeted = fs.openSync("/tmp/greeted", "a");
const uuid = () => crypto.randomUUID();
const hex = () => crypto.randomBytes(5).toString("hex");

// Where VS Code has them: its CLI's hook, its Git extension, Dev Containers, a forwarded ssh-agent.
// With XDG_RUNTIME_DIR set they lie there, and not in /tmp.
const runtime = `/tmp/runtime-${uid}`;
const user = `/tmp/user/${uid}`;
const gnupg = "/home/vscode/.gnupg-like";
for (const made of [runtime, user, gnupg]) {
    fs.mkdirSync(made, { recursive: true });
    fs.chmodSync(made, 0o700);
}
const kinds = {
    "ipc": () => `/tmp/vscode-ipc-${uuid()}.sock`,
    "git": () => `/tmp/vscode-git-${hex()}.sock`,
    "containers": () => `/tmp/vscode-remote-containers-${uuid()}.sock`,
    "ssh-auth": () => `/tmp/vscode-ssh-auth-${uuid()}.sock`,
    "runtime": () => `${runtime}/vscode-ipc-${uuid()}.sock`,
    "user": () => `${user}/vscode-git-${hex()}.sock`,
    "home": () => `${gnupg}/S.gpg-agent.${hex()}`,
};
// Agents' sockets are for their user alone; Node's have what the umask leaves.
const closed = new Set(["ssh-auth", "home"]);
const made = { paths: 0, ports: 0 };

function serve(kind, target, life) {
    const server = net.createServer((client) => {
        fs.writeSync(greeted, `greeted ${kind}\n`);
        client.on("error", () => {});
        client.end("bridge\n");
    });
    server.on("error", () => {});
    const mask = process.umask(closed.has(kind) ? 0o177 : 0o022);
    server.listen(target, () => {
        if (kind === "port") {
            made.ports += 1;
            fs.writeFileSync(path.join(folder, "ports.new"), String(server.address().port));
            fs.renameSync(path.join(folder, "ports.new"), path.join(folder, "ports"));
        } else {
            made.paths += 1;
        }
    });
    process.umask(mask);
    // Closing takes the name away, too.
    setTimeout(() => server.close(), life);
}

const some = (list) => list[Math.floor(Math.random() * list.length)];
const wait = (least, most) => least + Math.random() * (most - least);
const names = Object.keys(kinds);

// One after the other, after a delay that nobody knows.
function trickle() {
    const kind = some(names);
    serve(kind, kinds[kind](), wait(20, 400));
    setTimeout(trickle, wait(1, 60));
}
// Windows are opened, and all of their extensions' sockets with them.
function storm() {
    for (let count = 0; count < 60; count++) {
        const kind = some(names);
        serve(kind, kinds[kind](), wait(100, 400));
    }
    setTimeout(storm, wait(40, 200));
}
// The same name again and again, so that an attacker knows what to wait for.
const again = ["ipc", "git", "ssh-auth", "user"].map((kind) => [kind, kinds[kind]()]);
fs.writeFileSync(path.join(folder, "again"), again.map(([, name]) => name).join("\n"));
function anew([kind, name]) {
    const life = wait(2, 30);
    serve(kind, name, life);
    setTimeout(anew, life + wait(2, 30), [kind, name]);
}
// The server's own port, which it lets the system choose.
function port() {
    serve("port", { host: "127.0.0.1", port: 0 }, 400);
    setTimeout(port, 200);
}

process.chdir("/tmp");
fs.writeFileSync(path.join(folder, "pid"), `${process.pid}\n`);
trickle();
storm();
again.forEach(anew);
port();
process.on("SIGTERM", () => {
    console.log(JSON.stringify(made));
    process.exit(0);
});
