#!/usr/bin/env bash
# Fuzzes with libFuzzer, on the stable toolchain. Usage: fuzz.sh [SECONDS [TARGET]]: 60 seconds each for the parser of WebSocket
# frames (`frames`) and for everything that is done with uploaded templates (`templates`), unless one of them is named.
# What it found is kept under target/fuzz/corpus; a crash is written to target/fuzz and ends it with an error.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
target="${CARGO_TARGET_DIR:-target}/fuzz"
mkdir -p "$target/corpus"
target="$(cd "$target" && pwd)"
# What `cargo fuzz` passes, but for the sanitizer, which needs a nightly toolchain and would watch unsafe code: there is none.
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cdebug-assertions -Ccodegen-units=1'
host="$(rustc -vV | awk '/^host:/ { print $2 }')"

# fuzz TARGET MANIFEST LONGEST [SEED...]
fuzz() {
  RUSTFLAGS="$(tr '\n' ' ' <<<"$flags")" cargo build --release --manifest-path "$2" --target-dir "$target" --target "$host"
  mkdir -p "$target/corpus/$1"
  (cd "$target" && "$target/$host/release/$1" -max_total_time="$seconds" -max_len="$3" -print_final_stats=1 "corpus/$1" "${@:4}")
}

case "${2:-all}" in
  frames) fuzz frames crates/socket/fuzz/Cargo.toml 4096 ;;
  templates) fuzz templates crates/templates/fuzz/Cargo.toml 4096 "$PWD/crates/templates/fuzz/seeds" ;;
  all)
    fuzz frames crates/socket/fuzz/Cargo.toml 4096
    fuzz templates crates/templates/fuzz/Cargo.toml 4096 "$PWD/crates/templates/fuzz/seeds"
    ;;
  *)
    echo "fuzz.sh: there is no target $2; there are frames and templates" >&2
    exit 2
    ;;
esac
