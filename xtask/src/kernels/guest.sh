#!/bin/sh
# The first process of a guest: tries the table and the daemon on the kernel that runs, and says on the console what
# it saw, on lines with a mark. The host reads those; whatever else is printed is for people.
# shellcheck disable=SC2016 # what runs in a cell is expanded there
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/busybox CI=true

sandboxd=/usr/local/libexec/agent-sandbox/sandboxd
agent=/usr/local/bin/agent-sandbox

say() { printf '#guest %s\n' "$*"; }

prepare() {
    mkdir -p /proc /sys /dev /run /tmp /busybox /srv /hidden /etc/agent-sandbox
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev
    /bin/busybox --install -s /busybox
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /tmp
    echo '{"format":3,"mode":"enforce","rules":[{"name":"web.test.example","ports":[443],"from":"test"}]}' >/etc/agent-sandbox/policy.json
    echo '127.0.0.1 localhost' >/etc/hosts
    : >/etc/resolv.conf
    echo reached >/srv/index.html
    ip link set lo up
}

# Whether the neighbour answers, and with which error it does not.
cat >/probe <<'PERL'
use IO::Socket::INET;
IO::Socket::INET->new(PeerAddr => "203.0.113.10:8443", Timeout => 3) or die "$!\n";
PERL

# A container's network: a cable to a neighbour that answers, and no other way.
make_cell() {
    for space in cell outside; do
        ip netns add "$space"
    done
    ip -n cell link add eth0 type veth peer name eth0 netns outside
    printf '%s\n' 'link set lo up' 'addr add 203.0.113.2/24 dev eth0' 'link set eth0 up' | ip -n cell -batch -
    printf '%s\n' 'link set lo up' 'addr add 203.0.113.10/24 dev eth0' 'link set eth0 up' | ip -n outside -batch -
    ip netns exec outside httpd -f -p 203.0.113.10:8443 -h /srv &
    server=$!
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        ip netns exec cell perl /probe 2>/tmp/probed && return
        sleep 0.2
    done
    say "fail cell: its cable carries nothing: $(cat /tmp/probed)"
}

remove_cell() {
    kill "$server"
    wait "$server" 2>/dev/null
    ip netns del cell
    ip netns del outside
}

# Runs a shell as a container's first process, with mounts and processes of its own, and NET_ADMIN alone. The network
# is that of the program in front.
contained() {
    script=$1
    shift
    "$@" unshare --pid --fork --mount --mount-proc sh -c '
        mount -t sysfs sys /sys
        mount -t tmpfs tmpfs /run
        exec setpriv --bounding-set=-all,+net_admin --inh-caps=-all sh -c "$0"
    ' "$script"
}

# The entrypoint as the Feature writes it, in a container that could reach its neighbour before and cannot after.
started() {
    make_cell
    contained '
        perl /probe || exit 10
        date +%s%3N >/tmp/zero
        '$sandboxd' start || exit 1
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            '$agent' status --json >/tmp/status || exit 11
            grep -q "\"dns_problem\":null,\"gate_problem\":null" /tmp/status && break
            sleep 1
        done
        grep -q "\"dns_problem\":null,\"gate_problem\":null" /tmp/status || exit 14
        perl /probe 2>/tmp/after && exit 12
        grep -q "Connection refused" /tmp/after || exit 13
    ' ip netns exec cell >/tmp/said 2>&1
    case $? in
    0)
        grep -q '"in_force":true' /tmp/status || say 'fail start: the status does not say "in force"'
        closed=$(sed 's/.*"default_deny_at_ms":\([0-9]*\).*/\1/' /tmp/status)
        say "default-deny-ms $((closed - $(cat /tmp/zero)))"
        say 'pass start: in force, and the neighbour that answered before refuses'
        ;;
    10) say 'fail start: the neighbour was not reached before' ;;
    11) say "fail start: no status: $(cat /tmp/status)" ;;
    12) say 'fail start: the neighbour is still reached' ;;
    14) say "fail start: a worker does not work: $(cat /tmp/status)" ;;
    *) say "fail start: $(cat /tmp/said /tmp/after)" ;;
    esac
    # Others, such as nft_fib, are only there for these.
    needed=$(sed -n 's/^\(nft_[a-z_]*_inet\|nft_c[a-z_]*\|nft_redir\|nf_tables\|nfnetlink\) .*/\1/p' /proc/modules)
    remove_cell
}

# Takes a module out of the kernel, after those that build on it. Namespaces, which hold some, are taken down in the
# background.
unload() {
    for holder in "/sys/module/$1/holders"/*; do
        [ ! -e "$holder" ] || unload "${holder##*/}"
    done
    for _ in $(seq 100); do
        rmmod "$1" 2>/dev/null
        [ -d "/sys/module/$1" ] || return 0
        sleep 0.1
    done
    say "fail unload: $1 is still held"
}

# A kernel without a module that a good start has loaded: one sentence that names what is missing, exit code 1, and
# no table, whole or half.
without() {
    unload "$1"
    file=$(find /lib/modules -name "$1.ko*")
    mv "$file" /hidden
    contained '
        sh -c "'$sandboxd' start || exit 1" 2>/tmp/said
        code=$?
        nft list tables >/tmp/tables 2>/dev/null
        exit "$code"
    ' unshare --net
    code=$?
    mv "/hidden/${file##*/}" "$file"
    if [ "$code" != 1 ]; then
        say "fail without $1: exit code $code: $(tr '\n' '|' </tmp/said)"
    elif [ "$(wc -l </tmp/said)" != 1 ] || ! grep -q "modprobe $1\`" /tmp/said; then
        say "fail without $1: not one line that names it: $(tr '\n' '|' </tmp/said)"
    elif [ -s /tmp/tables ]; then
        say "fail without $1: it left a table behind: $(cat /tmp/tables)"
    else
        say "pass without $1: $(cat /tmp/said)"
    fi
}

# The kernel tests, as on the host.
tests() {
    all=0
    for test in /tests/*; do
        SANDBOXD=$sandboxd "$test" >/tmp/tests 2>&1
        passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed; 0 failed; 0 ignored.*/\1/p' /tmp/tests)
        if [ -z "$passed" ] || grep -q SKIPPED /tmp/tests; then
            cat /tmp/tests
            say "fail ${test#/}: $(grep '^test .* FAILED$' /tmp/tests | tr '\n' ' ')"
            return
        fi
        all=$((all + passed))
    done
    say "tests $all"
}

prepare
say "kernel $(uname -r)"
# landlock_create_ruleset(2) tells its version where it is asked for nothing else.
say "landlock $(perl -e 'print syscall(444, 0, 0, 1)')"
started
for module in $needed; do
    without "$module"
done
tests
say end
echo o >/proc/sysrq-trigger
exec sleep 60
