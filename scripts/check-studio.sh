#!/usr/bin/env bash
# Checks that the studio's file, which crates/api embeds, is what studio/ builds, byte for byte, and tests its pure parts.
# Needs Node and npm.
set -euo pipefail
cd "$(dirname "$0")/../studio"

echo "==> The studio"
mark=node_modules/.installed
if ! cmp -s package-lock.json "$mark"; then
  npm ci --silent
  cp package-lock.json "$mark"
fi
npm run --silent check
node --test test/
