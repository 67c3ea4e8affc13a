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
trap 'rm -f "$log" "$log".*' EXIT
status=0

# On a machine that we do not know, something else may have stood in the way of a test: up to $STENTOR_TRY_AGAIN that failed are
# run once more, one at a time, and named at the end.
try_again() {
  sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" > "$log.failed"
  sed -n 's/^    .\(-p .*\).$/\1/p' "$log" | sort -u > "$log.targets"
  if [ ! -s "$log.failed" ] || [ ! -s "$log.targets" ] || [ "$(wc -l < "$log.failed")" -gt "$STENTOR_TRY_AGAIN" ]; then
    return 1
  fi
  # The faults are told in a table, and what one of them lost is no matter of chance.
  if grep -q -- '--test faults$' "$log.targets"; then
    return 1
  fi
  mapfile -t names < "$log.failed"
  while read -r -a target; do
    say "Trying again: ${target[*]}"
    cargo test "${target[@]}" -- --exact --test-threads 1 "${names[@]}" < /dev/null || return 1
  done < "$log.targets"
}
cargo test "$@" 2>&1 | tee "$log" || status=$?
if [ "$status" -ne 0 ] && [ "${STENTOR_TRY_AGAIN:-0}" -gt 0 ]; then
  try_again && status=0
fi
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
if [ "$status" -eq 0 ] && [ -s "$log.failed" ]; then
  echo "Of the failed, all passed when they were tried again, alone:"
  cat "$log.failed"
fi
if [ "$status" -ne 0 ]; then
  echo "The suite did not pass (exit code $status)" >&2
fi
exit "$status"
