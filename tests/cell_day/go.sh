#!/bin/bash
set -euo pipefail
export CGO_ENABLED=0 GOPROXY=off GOFLAGS=-buildvcs=false
mkdir unix
printf 'module example.com/day\n\ngo 1.19\n' >go.mod
cat >main.go <<'END'
package main

import (
	"fmt"
	"io"
	"net"
)

func over(network, address string) string {
	listener, err := net.Listen(network, address)
	if err != nil {
		panic(err)
	}
	go func() {
		peer, _ := listener.Accept()
		peer.Write([]byte(network))
		peer.Close()
	}()
	peer, err := net.Dial(network, listener.Addr().String())
	if err != nil {
		panic(err)
	}
	text, _ := io.ReadAll(peer)
	return string(text)
}

func main() { fmt.Println(over("unix", "socket"), over("tcp", "localhost:0")) }
END
cat >main_test.go <<'END'
package main

import "testing"

func TestUnix(t *testing.T) {
	if got := over("unix", t.TempDir()+"/s"); got != "unix" {
		t.Fatal(got)
	}
}
END
go build -o day .
[ "$(./day)" = "unix tcp" ]
go test .
