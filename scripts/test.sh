#!/usr/bin/env bash
# Runs the whole suite with the browser tests, or what the arguments (those of `cargo test`) choose, and adds the counts up
# at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "==> $*"; }

browser=no
if [ "$#" -eq 0 ]; then
  set -- --workspace --no-fail-fast
  browser=yes
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
if [ "$browser" = yes ]; then
  scripts/browser-tests.sh | tee -a "$log" || status=$?
fi

# "test result: ok. 12 passed; 0 failed; 1 ignored; …", one line for each test executable;
# "12 passed, 0 failed, 1 skipped", from the browser tests
awk '
  /^test result: / { passed += $4; failed += $6; ignored += $8 }
  /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { passed += $1; failed += $3; ignored += $5 }
  END {
    printf "\n%d passed, %d failed, %d skipped\n", passed, failed, ignored
    if (passed + failed == 0) { print "no test ran"; exit 1 }
  }' "$log" || status=1
if [ "$status" -ne 0 ]; then
  echo "The suite did not pass (exit code $status)" >&2
fi
exit "$status"
