#!/usr/bin/env bash
# Runs the Autobahn cases against crates/socket: every frame that a client may send, and many that it may not. Compression
# (12.*, 13.*) is not spoken. `kosoku` drives the cases without Docker.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VERSION=0.1.0
work=$(mktemp -d)
server=
trap 'kill "${server:-0}" 2>/dev/null || true; rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "kosoku==$VERSION"
cargo build --quiet --locked -p stentor-socket --example echo
"${CARGO_TARGET_DIR:-target}/debug/examples/echo" > "$work/address" &
server=$!
until [ -s "$work/address" ]; do
  kill -0 "$server" # it ended: so do we
  sleep 0.1
done
"$work/venv/bin/kosoku" -p 2 -o "$work/reports" -x '12.*' -x '13.*' "$(cat "$work/address")"
