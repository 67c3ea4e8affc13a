#!/usr/bin/env bash
# Checks that the widget's sources type-check, that the file which crates/api embeds is what they build, byte for byte, that it is
# as small as promised, and that a fresh project can use the npm package.
set -euo pipefail
cd "$(dirname "$0")/../widget"

mark=node_modules/.installed
if ! cmp -s package-lock.json "$mark"; then
  npm ci --silent
  cp package-lock.json "$mark"
fi
npm run --silent check

# The package as npm would publish it, in a project that has nothing else: its types stand on their own, and it can be bundled.
project="$(mktemp -d)"
trap 'rm -rf "$project"' EXIT
npm pack --silent --pack-destination "$project" > /dev/null
cp test/project/* "$project"
cd "$project"
npm install --silent --offline --no-audit --no-fund ./stentor-inbox-*.tgz > /dev/null
"$OLDPWD/node_modules/.bin/tsc" --project .
"$OLDPWD/node_modules/.bin/esbuild" --bundle --format=esm --log-level=warning --outfile=bundle.js main.ts
grep -q 'stentor-inbox' bundle.js
echo "the npm package: a fresh project type-checks against it and bundles it"
