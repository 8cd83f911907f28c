#!/bin/bash
set -euo pipefail
export CARGO_NET_OFFLINE=true
cargo new -q --lib dep 2>/dev/null
cargo new -q app 2>/dev/null
echo 'pub fn answer() -> u32 { 42 }' >dep/src/lib.rs
echo 'dep = { path = "../dep" }' >>app/Cargo.toml
cat >app/src/main.rs <<'END'
fn main() { println!("{}", dep::answer()); }
#[test]
fn unix() {
    use std::{io::{Read, Write}, os::unix::net::{UnixListener, UnixStream}};
    let path = std::env::temp_dir().join("rust.sock");
    let listener = UnixListener::bind(&path).unwrap();
    UnixStream::connect(&path).unwrap().write_all(b"said").unwrap();
    let mut text = String::new();
    listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "said");
}
END
cd app
cargo build -q
[ "$(cargo run -q)" = 42 ]
cargo test -q
