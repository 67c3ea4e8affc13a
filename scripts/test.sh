#!/usr/bin/env bash
# Runs the whole suite, or what the arguments (those of `cargo test`) choose, and adds the counts up at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "==> $*"; }

if [ "$#" -eq 0 ]; then
  set -- --workspace --no-fail-fast
fi

# The end-to-end tests (tests/, package stentor-tests) start the real binary, which they find beside their own executables
# (target/debug/stentor); `cargo test` alone builds none for them. Binary and tests are built by one command, so that they
# share features and nothing is compiled twice.
say "Building the binary and the tests (the first time takes several minutes on 2 cores)"
cargo build --workspace --bins --tests

say "Testing: cargo test $*"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
status=0
cargo test "$@" | tee "$log" || status=$?

# "test result: ok. 12 passed; 0 failed; 1 ignored; …", one line for each test executable
awk '
  /^test result: / { passed += $4; failed += $6; ignored += $8 }
  END {
    printf "\n%d passed, %d failed, %d skipped\n", passed, failed, ignored
    if (passed + failed == 0) { print "no test ran"; exit 1 }
  }' "$log" || status=1
if [ "$status" -ne 0 ]; then
  echo "The suite did not pass (cargo test: exit code $status)" >&2
fi
exit "$status"
