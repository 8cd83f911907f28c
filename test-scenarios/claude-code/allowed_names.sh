#!/bin/bash
# On the stand-in internet: what is listed opens, on its port; everything else is refused.
set -e
# shellcheck source=/dev/null
source dev-container-features-test-lib

# Whether an HTTP server answers on HOST PORT; the inner bash expands them.
# shellcheck disable=SC2016
get='exec 3<>/dev/tcp/$0/$1 && printf "GET / HTTP/1.1\r\nHost: ${2:-$0}\r\nConnection: close\r\n\r\n" >&3 && timeout 5 grep -q "stand-in reached" <&3'
denied() { ! timeout 10 bash -c "$get" "$@" 2>/dev/null; }

check "an allowed name and port answers" bash -c "$get" web.test.example 80
check "its other port is closed" denied web.test.example 8080
check "a host that is not allowed is closed" denied 203.0.113.66 80 evil.test.example
check "at its other port, too" denied 203.0.113.66 8080 evil.test.example
check "an allowed name leads to its own host, whatever the address" bash -c "$get" 203.0.113.66 80 web.test.example
check "its name is not even resolved" bash -c "! getent hosts evil.test.example"
check "over IPv6 it is closed too" denied 2001:db8:113::66 80 evil.test.example
check "a name that answers with private addresses opens nothing" bash -c \
    "! getent hosts rebind.test.example && agent-sandbox status | grep -q 'rebind.test.example.*may not lead to'"
# The code in the answer to a question for leak.example, from whichever server: 3 is "no such name". That no
# server ever sees the question is the host script's to show.
# shellcheck disable=SC2016 # the inner bash expands
code='exec 3<>/dev/udp/$0/53 &&
    printf "\x5a\x5a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04leak\x07example\x00\x00\x01\x00\x01" >&3 &&
    [ "$(timeout 2 dd bs=512 count=1 <&3 2>/dev/null | od -An -tu1 -j3 -N1 | tr -d " ")" = $((128 + 3)) ]'
for server in 127.0.0.11 203.0.113.53 203.0.113.66 2001:db8:113::66; do
    check "DNS to $server is answered here: no such name" bash -c "$code" "$server"
done
check "the refused names are listed, with the option that allows them" bash -c \
    "agent-sandbox log | grep -q '\"allow\": \"rebind.test.example:80, web.test.example:80, evil.test.example, evil.test.example:80, leak.example, web.test.example:8080\"'"
check "refused packets are listed by what they were for" bash -c \
    "agent-sandbox log | grep -q ' 203.0.113.66, port 8080: connections go by name'"
check "verify holds" agent-sandbox verify

reportResults
