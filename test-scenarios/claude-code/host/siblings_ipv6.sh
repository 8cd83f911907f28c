#!/bin/bash
# Containers beside this one, and the host, over IPv6: reached where a rule lists them, at that port, and nowhere else.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
: "${STAND_IN:?}"

# Older Docker keeps IPv4 alone inside of a network that is `--internal`. The attacks below succeed with the sandbox
# off, so nothing is begun where IPv6 has a way on. What is broader than /7 is a way on, unless it only rejects.
routes=$(docker run --rm --network host "$IMAGE" cat /proc/net/ipv6_route)
while read -r to length _ _ _ _ _ _ flags device; do
    if ((16#$length < 7)) && (((16#$flags & 0x200) == 0)); then
        echo "the network of the Docker under test has a way out by IPv6, $to/$((16#$length)) by $device: refusing" >&2
        exit 1
    fi
done <<<"$routes"

net=$NETWORK-siblings6
bridge=$(docker network create --internal --ipv6 --subnet 172.31.78.0/24 --gateway 172.31.78.1 \
    --subnet fd31:78::/64 --gateway fd31:78::1 "$net")
bridge=br-${bridge:0:12}
networks+=("$net")

# A container by a name of the network's and the last part of its addresses: beside NAME PART FLAG...; its id is then in
# $beside.
beside() {
    local name=$1 part=$2
    shift 2
    beside=$(docker run --detach --network "$net" --network-alias "$name" --ip "172.31.78.$part" --ip6 "fd31:78::$part" \
        "$STAND_IN" /stand-in "$@")
    containers+=("$beside")
}
# Docker gives every container an IPv4 address and its resolver says so. A name with an AAAA alone is one that the server
# which Docker's resolver asks in turn knows.
beside dns 53 --dns 0.0.0.0:53 --zone six=fd31:78::10
beside unnamed 10 --tcp '[fd31:78::10]:5432' --tcp '[fd31:78::10]:5433' --udp '[fd31:78::10]:5432' \
    --http '[fd31:78::10]:80' --http '[fd31:78::10]:8080'
six=$beside
# One that Docker's resolver knows with both, and serves by IPv6 alone.
beside both 11 --tcp '[fd31:78::11]:5432' --tcp '[fd31:78::11]:5433'
both=$beside
beside cache 12 --tcp '[::]:6379' --tcp '[::]:5432' --http '[::]:80' --tcp '[::]:443' --udp '[::]:5432' --udp '[::]:53'
cache=$beside
# Services of the host's.
containers+=("$(docker run --detach --network host "$STAND_IN" /stand-in --tcp '[::]:29442' --tcp '[::]:29443')")

options=("--network=$net" --dns=172.31.78.53 --add-host=host.docker.internal:fd31:78::1)
bare=$(docker run --detach "${options[@]}" "$IMAGE" sleep 1800)
containers+=("$bare")
workspace "six:5432, six:80, both:5432, host.docker.internal:29442" --cap-drop=ALL "${options[@]}"
up
ours=$container

# Whether a user in a container is greeted by a TCP server.
greets() {
    # shellcheck disable=SC2016 # the inner shell expands
    docker exec --user vscode "$1" timeout 10 bash -c \
        'exec 3<>"/dev/tcp/$0/$1" && grep -q "stand-in reached" <&3' "$2" "$3" 2>/dev/null
}
# Whether a user in a container gets a page from an address in the name of a host: page CONTAINER ADDRESS HOST PORT.
page() {
    # shellcheck disable=SC2016
    docker exec --user vscode "$1" timeout 10 bash -c 'exec 3<>"/dev/tcp/$0/$2" &&
        printf "GET / HTTP/1.1\r\nHost: $1\r\nConnection: close\r\n\r\n" >&3 && grep -q "stand-in reached" <&3' \
        "$2" "$3" "$4" 2>/dev/null
}
# A file of a container's network, or of the host's, though the image may have no program to show it.
of_network() { docker run --rm --network "$1" "$IMAGE" cat "/proc/net/$2"; }
# The address that is good on one cable alone, as seen from the other end's eth0: link_local NETWORK INTERFACE.
link_local() {
    local address
    address=$(of_network "$1" if_inet6 | sed -n "s/^\\(fe80[0-9a-f]*\\) .* $2\$/\\1/p" | head -n 1)
    [ -n "$address" ]
    echo "$(sed 's/..../&:/g; s/:$//' <<<"$address")%eth0"
}
# What has arrived there of TCP, both families, and of UDP over IPv6, whether anybody listened or not.
segments() { of_network "container:$1" snmp | awk '$1 == "Tcp:" && $11 ~ /^[0-9]+$/ { print $11 }'; }
datagrams() { of_network "container:$1" snmp6 | awk '$1 == "Udp6InDatagrams" || $1 == "Udp6NoPorts" { n += $2 } END { print n }'; }

# What a rule lists, by its name and by its addresses.
for target in "six 5432" "fd31:78::10 5432" "both 5432" "fd31:78::11 5432" "host.docker.internal 29442" \
    "fd31:78::1 29442"; do
    # shellcheck disable=SC2086 # a host and a port
    check "listed: $target" greets "$ours" $target
done
check "HTTP to a listed sibling that has an IPv6 address alone" page "$ours" six six 80

# Other ports of what is listed, others in every spelling, the host by its other address.
cache_link=$(link_local "container:$cache" eth0)
six_link=$(link_local "container:$six" eth0)
host_link=$(link_local host "$bridge")
for target in "six 5433" "fd31:78::10 5433" "both 5433" "fd31:78::11 5433" "cache 6379" "cache 5432" \
    "fd31:78::12 6379" "fd31:78::12 5432" "::ffff:172.31.78.12 6379" "::ffff:172.31.78.12 5432" \
    "$cache_link 6379" "$cache_link 5432" "host.docker.internal 29443" "fd31:78::1 29443" \
    "::ffff:172.31.78.1 29442" "$host_link 29442" "$host_link 29443"; do
    # shellcheck disable=SC2086
    check "without the sandbox: $target" greets "$bare" $target
    # shellcheck disable=SC2086
    check_not "not listed: $target" greets "$ours" $target
done
# Nothing of a listed sibling listens at that address; what tells is whether anything arrives.
arrives_at_link() {
    local before
    before=$(segments "$six")
    greets "$1" "$six_link" 5432 || true
    [ "$(segments "$six")" -gt "$before" ]
}
check "without the sandbox: a listed sibling by its link-local address" arrives_at_link "$bare"
check_not "a listed sibling by its link-local address" arrives_at_link "$ours"

# HTTP, whose port the gate answers: by name, by address, and by address in the name of who is listed.
check "without the sandbox: HTTP on a port that is not listed" page "$bare" six six 8080
check_not "HTTP on a port that is not listed" page "$ours" six six 8080
for address in cache fd31:78::12 ::ffff:172.31.78.12 "$cache_link"; do
    for host in cache '[fd31:78::12]'; do
        check "without the sandbox: HTTP to another, $address as $host" page "$bare" "$address" "$host" 80
        check_not "HTTP to another, $address as $host" page "$ours" "$address" "$host" 80
    done
done
before=$(segments "$cache")
check "HTTP to another's address in a listed name is answered by whose name it is" page "$ours" fd31:78::12 six 80
check "and of it nothing has arrived at the other" [ "$(segments "$cache")" -eq "$before" ]

# Every port of another's there is, and what of it arrives: sweep CONTAINER tcp|udp ADDRESS.
sweep() {
    # shellcheck disable=SC2016
    docker exec --user vscode "$1" bash -c 'for ((port = 1; port < 65536; port++)); do
        echo probe >"/dev/$0/$1/$port"; done 2>/dev/null || true' "$2" "$3"
}
swept() {
    local before
    before=$("$1" "$cache")
    sweep "$2" "$3" fd31:78::12
    echo $(($("$1" "$cache") - before))
}
arrived=$(swept segments "$bare" tcp)
check "without the sandbox: TCP to every port arrives ($arrived segments)" [ "$arrived" -ge 65535 ]
arrived=$(swept segments "$ours" tcp)
check "TCP to none of its ports does ($arrived)" [ "$arrived" -eq 0 ]
arrived=$(swept datagrams "$bare" udp)
check "without the sandbox: UDP to most of its ports arrives ($arrived datagrams)" [ "$arrived" -ge 32768 ]
arrived=$(swept datagrams "$ours" udp)
check "UDP to none of its ports does ($arrived)" [ "$arrived" -eq 0 ]

# UDP to the port that is listed, and to all on the cable: datagram CONTAINER ADDRESS TEXT.
datagram() {
    for _ in 1 2 3; do
        # shellcheck disable=SC2016
        docker exec --user vscode "$1" bash -c 'echo "$1" >"/dev/udp/$0/5432"' "$2" "$3" 2>/dev/null || true
    done
}
told() { docker logs "$1" 2>&1 | grep -c "$2" || true; }
datagram "$bare" fd31:78::10 from-the-bare-one
datagram "$ours" fd31:78::10 from-the-sandbox
check "without the sandbox: UDP to the listed port" [ "$(told "$six" from-the-bare-one)" -gt 0 ]
check "a rule is for TCP alone" [ "$(told "$six" from-the-sandbox)" -eq 0 ]
datagram "$bare" ff02::1%eth0 from-the-bare-one
datagram "$ours" ff02::1%eth0 from-the-sandbox
check "without the sandbox: UDP to all on the cable, ff02::1, arrives" [ "$(told "$cache" from-the-bare-one)" -gt 0 ]
check "none from the sandbox does" [ "$(told "$cache" from-the-sandbox)" -eq 0 ]

check "after all this, verify holds" docker exec --user vscode "$ours" agent-sandbox verify
check "and what is listed is reached" greets "$ours" six 5432

# A sibling is replaced by one with another address, as by `docker compose up`, and found again.
docker rm --force "$both" >/dev/null
beside both 21 --tcp '[fd31:78::21]:5432' --tcp '[fd31:78::21]:5433'
found_again() {
    for _ in $(seq 120); do
        greets "$ours" both 5432 && return
        sleep 1
    done
    return 1
}
check "a listed sibling that comes back with another IPv6 address is found" found_again
check "without the sandbox: at another port, too" greets "$bare" fd31:78::21 5433
check_not "at the listed port alone" greets "$ours" fd31:78::21 5433
