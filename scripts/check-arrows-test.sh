#!/usr/bin/env bash
# Proves that check-arrows.sh can fail: in a copy of the workspace it breaks one rule at a time and expects to be told.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd -P)"
export CARGO_NET_OFFLINE=true # the copies need no other packages than the original; check-arrows.sh has fetched those

copies="$(mktemp -d)"
trap 'rm -rf "$copies"' EXIT

# A copy of what check-arrows.sh looks at, in the folder $copy.
new_copy() {
  copy="$copies/$1"
  mkdir "$copy"
  cp "$root/Cargo.toml" "$root/Cargo.lock" "$copy"
  cp -R "$root/crates" "$root/migrations" "$root/tests" "$root/bench" "$copy"
}

depend() { # FOLDER LINE: adds a line to the dependencies of a crate
  local manifest="$copy/$1/Cargo.toml"
  awk -v line="$2" '{ print } $0 == "[dependencies]" { print line }' "$manifest" >"$manifest.new"
  mv "$manifest.new" "$manifest"
}

failures=0
tried=0
expect() { # EXIT WORDS: what check-arrows.sh must answer about the copy
  local out answer=0
  out="$(bash "$root/scripts/check-arrows.sh" "$copy" 2>&1)" || answer=$?
  tried=$((tried + 1))
  if [ "$answer" -ne "$1" ] || ! grep -qF -- "$2" <<<"$out"; then
    echo "check-arrows-test: ${copy##*/}: expected exit $1 and \"$2\", got exit $answer and:"
    echo "$out"
    failures=$((failures + 1))
  fi
  rm -rf "$copy"
}

new_copy untouched
expect 0 "keep the rules"

new_copy api-sees-worker
depend crates/api 'stentor-worker.workspace = true'
expect 1 "api must not see worker"

new_copy inbox-sees-archive-by-another-name
depend crates/inbox 'record = { package = "stentor-archive", path = "../archive" }'
expect 1 "inbox must not see archive"

new_copy queue-sees-inbox-on-windows-only
printf '\n[target."cfg(windows)".dependencies]\nstentor-inbox.workspace = true\n' >>"$copy/crates/queue/Cargo.toml"
expect 1 "queue must not see inbox"

new_copy domain-sees-migrations
depend crates/domain 'stentor-migrations.workspace = true'
expect 1 "domain must not see migrations (it may see: none of ours)"

new_copy worker-is-built-with-the-testkit
printf '\n[build-dependencies]\nstentor-testkit.workspace = true\n' >>"$copy/crates/worker/Cargo.toml"
expect 1 "the testkit is for dev-dependencies only"

new_copy inbox-names-sea-orm
depend crates/inbox 'sea-orm.workspace = true'
expect 1 "only archive and migrations and bench may name sea-orm"

new_copy api-names-apalis
depend crates/api 'apalis-core.workspace = true'
expect 1 "only queue and worker and bench may name apalis-core"

new_copy worker-names-lettre
depend crates/worker 'lettre = { version = "0.11", default-features = false, optional = true }'
expect 1 "only channels and bench may name lettre"

new_copy a-crate-named-utils
mkdir -p "$copy/crates/utils/src"
sed 's/stentor-migrations/stentor-utils/' "$copy/migrations/Cargo.toml" | sed '/^\[dependencies\]/,$d' >"$copy/crates/utils/Cargo.toml"
touch "$copy/crates/utils/src/lib.rs"
expect 1 "no crate is named utils"

new_copy a-crate-without-a-row
mkdir -p "$copy/crates/attic/src"
sed 's/stentor-migrations/stentor-attic/' "$copy/migrations/Cargo.toml" | sed '/^\[dependencies\]/,$d' >"$copy/crates/attic/Cargo.toml"
touch "$copy/crates/attic/src/lib.rs"
expect 1 "stentor-attic has no place in the house"

new_copy a-crate-without-the-lints
sed '/^\[lints\]/,/^workspace/d' "$root/crates/domain/Cargo.toml" >"$copy/crates/domain/Cargo.toml"
expect 1 "crates/domain/Cargo.toml: the workspace's lints are not taken over"

new_copy a-file-too-long
awk 'BEGIN { for (i = 0; i < 600; i++) print "// " i }' >"$copy/crates/domain/src/long.rs"
expect 1 "crates/domain/src/long.rs: 600 lines"

new_copy unsafe-code
printf 'pub fn f() {\n    unsafe { std::hint::unreachable_unchecked() }\n}\n' >"$copy/crates/domain/src/bold.rs"
expect 1 "crates/domain/src/bold.rs:2: unsafe code is not allowed here"

new_copy unreadable
echo 'not TOML' >"$copy/crates/domain/Cargo.toml"
expect 2 "cargo cannot tell the dependencies"

if [ "$failures" -gt 0 ]; then
  exit 1
fi
echo "check-arrows-test: $tried cases, each told as expected"
