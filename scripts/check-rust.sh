#!/usr/bin/env bash
# Says whether the Rust that is here builds Stentor, and if not, how to get one that does. With --lint also rustfmt and clippy.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted="$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml)"

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# Whether version $1 is at least version $2, number by number.
is_at_least() {
  awk -v have="$1" -v want="$2" 'BEGIN {
    split(have, h, "."); split(want, w, ".")
    for (i = 1; i <= 3; i++) if (h[i] + 0 != w[i] + 0) exit (h[i] + 0 < w[i] + 0)
  }'
}

if ! command -v cargo >/dev/null 2>&1; then
  if [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    fail "cargo is installed, but not in your PATH. In this shell:" \
      "    . \"${CARGO_HOME:-$HOME/.cargo}/env\""
  fi
  fail "Rust is missing (cargo, $wanted or later; Debian's own is often too old). Its installer, from https://rustup.rs:" \
    "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" \
    "    . \"\$HOME/.cargo/env\"" \
    "Then run make again."
fi

have="$(cargo --version | awk '{ print $2 }')"
if ! is_at_least "${have%%-*}" "$wanted"; then
  fail "Rust is $have, and Stentor needs $wanted or later:" \
    "    rustup update stable        # or, if it did not come from rustup, see https://rustup.rs"
fi

if [ "${1:-}" = --lint ]; then
  for component in fmt clippy; do
    cargo "$component" --version >/dev/null 2>&1 || fail "cargo $component is missing:" "    rustup component add rustfmt clippy"
  done
fi
