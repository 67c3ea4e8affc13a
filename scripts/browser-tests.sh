#!/usr/bin/env bash
# Runs the browser tests (tests/browser), or the specs that the arguments (those of `playwright test`) choose, against the
# binary that was built last. The last line is "N passed, N failed, N skipped". With --types alone it checks the types and
# runs nothing.
set -euo pipefail
cd "$(dirname "$0")/../tests/browser"

echo "==> Browser tests"
# Once for each lockfile: npm ci takes away and brings back all there is.
mark=node_modules/.installed
if ! cmp -s package-lock.json "$mark"; then
  npm ci --silent
  cp package-lock.json "$mark"
fi
node_modules/.bin/tsc --project .
[ "$*" != --types ] || exit 0
exec node_modules/.bin/playwright test "$@"
