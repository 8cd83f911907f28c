#!/bin/bash
# What is in single quotes is for another shell, or another program.
# shellcheck disable=SC2016
set -euo pipefail
cat >main.c <<'END'
#include <stdio.h>
int twice(int a) { return a * 2; }
int main(void) { printf("%d\n", twice(21)); return 0; }
END
# The recursive make shares the outer one's jobs.
printf 'all: a b\n\t$(CC) -g -o main main.c\na b:\n\t+$(MAKE) -s sub\nsub:\n\ttrue\n' >Makefile
make -s -j4
[ "$(./main)" = 42 ]
gdb -q -batch -ex 'break twice' -ex run -ex 'print a' ./main | grep >/dev/null '^\$1 = 21'
sleep 100 &
gdb -q -batch -p $! -ex 'info proc' 2>/dev/null | grep >/dev/null "process $!"
strace -f -o trace ./main && grep -q 'write(1' trace
kill $!
