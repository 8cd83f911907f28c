#!/bin/bash
# Containers beside this one, and the host: reached where a rule lists them, at that port, and nowhere else. What others
# begin with us works all the same.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
: "${STAND_IN:?}"

# A network with private addresses and a gateway, as compose makes one.
net=$NETWORK-siblings
docker network create --subnet 172.31.77.0/24 --gateway 172.31.77.1 "$net" >/dev/null
networks+=("$net")

# A container by a name of the network's and an address: beside NAME ADDRESS FLAG...; its id is then in $beside.
beside() {
    local name=$1 address=$2
    shift 2
    beside=$(docker run --detach --network "$net" --network-alias "$name" --ip "$address" "$STAND_IN" /stand-in "$@")
    containers+=("$beside")
}
beside dns 172.31.77.53 --dns 0.0.0.0:53
beside api 172.31.77.11 --http 0.0.0.0:80 --http 0.0.0.0:8080 --tcp 0.0.0.0:443
api=$beside
beside cache 172.31.77.12 --tcp 0.0.0.0:6379 --http 0.0.0.0:80 --tcp 0.0.0.0:443
cache=$beside
beside db 172.31.77.10 --tcp 0.0.0.0:5432 --tcp 0.0.0.0:5433 --udp 0.0.0.0:5432
db=$beside
# Services of the host's.
containers+=("$(docker run --detach --network host "$STAND_IN" /stand-in --tcp 0.0.0.0:29432 --tcp 0.0.0.0:29433)")

options=("--network=$net" --dns=172.31.77.53 --add-host=host.docker.internal:host-gateway)
bare=$(docker run --detach "${options[@]}" "$IMAGE" sleep 900)
containers+=("$bare")
workspace "db:5432, api:80, api, host.docker.internal:29432" --cap-drop=ALL "${options[@]}" --publish=127.0.0.1::8080
up
ours=$container

# Whether a user in a container is greeted by a TCP server.
greets() {
    # shellcheck disable=SC2016 # the inner shell expands
    docker exec --user vscode "$1" timeout 10 bash -c \
        'exec 3<>"/dev/tcp/$0/$1" && grep -q "stand-in reached" <&3' "$2" "$3" 2>/dev/null
}

for target in "db 5432" "172.31.77.10 5432" "host.docker.internal 29432"; do
    # shellcheck disable=SC2086 # a host and a port
    check "listed: $target" greets "$ours" $target
done
# Other ports of what is listed, others by name and by address, and the host by another of its addresses.
for target in "db 5433" "172.31.77.10 5433" "cache 6379" "172.31.77.12 6379" "host.docker.internal 29433" \
    "172.31.77.1 29432" "172.31.77.1 29433"; do
    # shellcheck disable=SC2086
    check "without the sandbox: $target" greets "$bare" $target
    # shellcheck disable=SC2086
    check_not "not listed: $target" greets "$ours" $target
done
check "without the sandbox: HTTP on a port that is not listed" reaches "$bare" api 8080
check_not "HTTP on a port that is not listed" reaches "$ours" api 8080

# UDP on the listed port; the sibling says what arrived.
datagram() {
    for _ in 1 2 3; do
        # shellcheck disable=SC2016
        docker exec --user vscode "$1" bash -c 'echo "$0" >/dev/udp/172.31.77.10/5432' "$2" 2>/dev/null || true
    done
}
datagrams() { docker logs "$db" 2>&1 | grep -c "$1" || true; }
datagram "$bare" from-the-bare-one
datagram "$ours" from-the-sandbox
check "without the sandbox: UDP to the listed port" [ "$(datagrams from-the-bare-one)" -gt 0 ]
check "a rule is for TCP alone" [ "$(datagrams from-the-sandbox)" -eq 0 ]

# Ports 80 and 443 of names of this network pass the gate, by name.
check "HTTP to a listed sibling" reaches "$ours" api 80
check "without the sandbox: HTTP to another" reaches "$bare" cache 80
check_not "HTTP to another" reaches "$ours" cache 80
check_not "HTTP to another, by its address" reaches "$ours" 172.31.77.12 80
# A TLS hello for a name to whatever address: hello CONTAINER NAME ADDRESS.
hello() {
    # shellcheck disable=SC2016
    docker exec --user vscode "$1" timeout 10 bash -c '
        byte() { printf "\\\\x%02x" "$1"; }
        n=${#0}
        exec 3<>"/dev/tcp/$1/443" && printf "\x16\x03\x01\x00$(byte $((n + 56)))\x01\x00\x00$(byte $((n + 52)))\x03\x03$(
            printf %032d 0)\x00\x00\x02\x13\x01\x01\x00\x00$(byte $((n + 9)))\x00\x00\x00$(byte $((n + 5)))\x00$(
            byte $((n + 3)))\x00\x00$(byte "$n")$0" >&3 && timeout 5 cat <&3 >/dev/null' \
        "$2" "$3" 2>/dev/null || true
}
connected() { docker logs "$1" 2>&1 | grep -c '"tcp":".*:443"' || true; }
hello "$bare" cache 172.31.77.12
check "without the sandbox: TLS to another arrives" [ "$(connected "$cache")" -eq 1 ]
hello "$ours" cache 172.31.77.12
hello "$ours" api 172.31.77.12
check "TLS to another does not, and one for a listed name goes to its own host" \
    [ "$(connected "$cache") $(connected "$api")" = "1 1" ]

# Inbound: a server of the user's, asked from a sibling, from the host and by a published port.
docker cp "$db:/stand-in" "$WORK/stand-in" >/dev/null
docker cp "$WORK/stand-in" "$ours:/usr/local/bin/stand-in" >/dev/null
docker exec --detach --user vscode "$ours" stand-in --http 0.0.0.0:8080
address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$ours")
published=$(docker port "$ours" 8080/tcp | head -n 1)
page() {
    # shellcheck disable=SC2016
    for _ in $(seq 20); do
        timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" >&3 &&
            grep -q "stand-in reached" <&3' "$1" "$2" 2>/dev/null && return
        sleep 0.3
    done
    return 1
}
check "the host reaches a published port" page "${published%:*}" "${published##*:}"
check "the host reaches a server in the container" page "$address" 8080
check "a sibling reaches a server in the container" reaches "$bare" "$address" 8080
check "verify holds" docker exec --user vscode "$ours" agent-sandbox verify

# The database is replaced by one with another address, as by `docker compose up`: it is found again, and the old
# address is whoever's gets it next.
docker rm --force "$db" >/dev/null
beside db 172.31.77.20 --tcp 0.0.0.0:5432
found_again() {
    for _ in $(seq 120); do
        greets "$ours" db 5432 && return
        sleep 1
    done
    return 1
}
check "a listed sibling that comes back with another address is found" found_again
