#!/usr/bin/env bash
# Checks that the widget's sources type-check, that the file which crates/api embeds is what they build, byte for byte, and
# that it is as small as promised.
set -euo pipefail
cd "$(dirname "$0")/../widget"

mark=node_modules/.installed
if ! cmp -s package-lock.json "$mark"; then
  npm ci --silent
  cp package-lock.json "$mark"
fi
npm run --silent check
