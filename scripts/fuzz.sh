#!/usr/bin/env bash
# Fuzzes the parser of WebSocket frames with libFuzzer, on the stable toolchain. Usage: fuzz.sh [SECONDS], 60 if absent.
# What it found is kept under target/fuzz/corpus; a crash is written to target/fuzz and ends it with an error.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}/fuzz"
mkdir -p "$target/corpus"
target="$(cd "$target" && pwd)"
# What `cargo fuzz` passes, but for the sanitizer, which needs a nightly toolchain and would watch unsafe code: there is none.
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cdebug-assertions -Ccodegen-units=1'
host="$(rustc -vV | awk '/^host:/ { print $2 }')"
RUSTFLAGS="$(tr '\n' ' ' <<<"$flags")" cargo build --release --manifest-path crates/socket/fuzz/Cargo.toml --target-dir "$target" \
  --target "$host"
cd "$target"
"$target/$host/release/frames" -max_total_time="${1:-60}" -max_len=4096 -print_final_stats=1 corpus
