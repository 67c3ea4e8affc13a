#!/usr/bin/env bash
# Keeps the arrows between the crates one-way, and the other rules of the house that a machine can see. Prints each
# violation as "file:line: rule" and exits 1; exits 2 if it cannot look. Usage: check-arrows.sh [ROOT of a workspace]
set -euo pipefail
cd "${1:-"$(dirname "$0")/.."}"

# Which of our crates a crate may name as a dependency or build dependency. No row, no crate. The testkit is for
# dev-dependencies, which are free, and for `tests` and `bench`, which are nothing else.
readonly ARROWS='
domain      :
connection  :
socket      :
migrations  :
testkit     :
tests       : testkit
bench       : testkit tests socket domain templates connection queue inbox archive
templates   : domain
queue       : domain connection
inbox       : domain connection
archive     : domain migrations
channels    : domain
catalog     : domain connection templates archive
worker      : domain connection templates queue inbox archive catalog channels
api         : domain connection templates queue inbox archive catalog channels socket
server      : domain connection templates queue inbox archive catalog channels worker api socket
'
# Which crates alone may name a library (a pattern of package names).
readonly LIBRARIES='
^(sea-orm|sea-query|sqlx)(-|$) : archive migrations bench
^apalis(-|$)                   : queue worker bench
^lettre(-|$)                   : channels bench
'
# Files that may hold unsafe code, should there ever be one: paths, separated by spaces.
readonly UNSAFE_ALLOWED=''
readonly LONGEST_FILE=599

violations=0
report() { # FILE[:LINE] RULE
  echo "$1: $2"
  violations=$((violations + 1))
}

# The row of a table ("key : values") for a key; fails if there is none.
row() {
  awk -F ' *: *' -v key="$2" '$1 == key { print $2; found = 1 } END { exit !found }' <<<"$1"
}

line_of() { # FILE NAME: where the manifest names a dependency
  grep -nE "^[[:space:]]*\"?$2\"?[[:space:].=]|package = \"$2\"|^\[.*dependencies\.\"?$2\"?\]" "$1" | head -n 1 | cut -d: -f1
}

# Lines "crate manifest dependency", for every kind of dependency but dev, on every platform and with every feature.
# cargo itself is asked, so that renames, inheritance and target tables are seen through.
list_edges() {
  local tree root
  root="$(pwd -P)"
  tree="$(cargo tree --workspace --edges normal,build --depth 1 --prefix depth --target all --all-features \
    --no-dedupe --format '{p}')" || return
  awk -v root="$root/" '
    /^0/ {
      crate = substr($1, 2)
      at = index($0, " (")
      folder = substr($0, at + 2, length($0) - at - 2)
      if (index(folder, root) == 1) folder = substr(folder, length(root) + 1)
      print crate, folder "/Cargo.toml", "-"
    }
    /^1/ { print crate, folder "/Cargo.toml", substr($1, 2) }' <<<"$tree" | sort -u
}

check_edges() {
  local crate manifest dependency name allowed
  while read -r crate manifest dependency; do
    name="${crate#stentor-}"
    if [ "$dependency" = - ]; then # the crate's first line
      allowed="$(row "$ARROWS" "$name")" \
        || report "$manifest" "the crate $crate has no place in the house: give it a row in scripts/check-arrows.sh"
      continue
    fi
    case "$dependency" in
      stentor-*)
        case " $allowed " in
          *" ${dependency#stentor-} "*) continue ;;
        esac
        case "$dependency" in
          stentor-testkit) report_dependency "the testkit is for dev-dependencies only" ;;
          *) report_dependency "$name must not see ${dependency#stentor-} (it may see: ${allowed:-none of ours})" ;;
        esac
        ;;
      *) check_library ;;
    esac
  done
}

# These two read check_edges' variables.
report_dependency() { report "$manifest:$(line_of "$manifest" "$dependency")" "$1"; }

check_library() {
  local pattern owners
  while read -r pattern _ owners; do
    if [ -n "$pattern" ] && [[ "$dependency" =~ $pattern ]]; then
      case " $owners " in
        *" $name "*) ;;
        *) report_dependency "only ${owners// / and } may name $dependency" ;;
      esac
    fi
  done <<<"$LIBRARIES"
}

# The folders of our crates: those with a manifest.
list_crates() {
  local folder
  for folder in crates/* migrations tests; do
    if [ -f "$folder/Cargo.toml" ]; then echo "$folder"; fi
  done
}

check_crates() {
  local folder name
  while read -r folder; do
    name="$(sed -n 's/^name *= *"\(stentor-\)\{0,1\}\([^"]*\)".*/\2/p' "$folder/Cargo.toml" | head -n 1)"
    case "$name ${folder##*/}" in
      common\ * | utils\ * | util\ * | *\ common | *\ utils | *\ util)
        report "$folder/Cargo.toml" "no crate is named $name: say what it is for" ;;
    esac
    # The workspace's lints forbid unsafe code, but only in crates that take them over.
    grep -A1 '^\[lints\]' "$folder/Cargo.toml" | grep -q '^workspace *= *true' \
      || report "$folder/Cargo.toml" "the workspace's lints are not taken over ([lints] workspace = true)"
  done < <(list_crates)
}

check_sources() {
  local at rule
  while IFS=' ' read -r at rule; do
    report "$at" "$rule"
  done < <(list_sources | sort | xargs awk -v longest="$LONGEST_FILE" -v allowed=" $UNSAFE_ALLOWED " '
    function close_file() {
      if (lines > longest) print file, lines " lines; a file is a room of at most " longest
    }
    FNR == 1 { close_file(); file = FILENAME }
    { lines = FNR; sub(/\/\/.*/, "") } # comments may speak of it
    /(^|[^A-Za-z0-9_"])unsafe *([{(]|fn|impl|extern|trait|$)|allow\(.*unsafe_code/ {
      if (!index(allowed, " " FILENAME " ")) print FILENAME ":" FNR, "unsafe code is not allowed here"
    }
    END { close_file() }')
}

list_sources() {
  local folder
  while read -r folder; do
    find "$folder" -name target -prune -o -name '*.rs' -print
  done < <(list_crates)
}

if ! edges="$(list_edges)" || [ -z "$edges" ]; then
  echo "check-arrows: cargo cannot tell the dependencies of $(pwd)" >&2
  exit 2
fi
check_edges <<<"$edges"
check_crates
check_sources

if [ "$violations" -gt 0 ]; then
  echo "check-arrows: $violations violations. The house and its arrows: docs/ARCHITECTURE.md" >&2
  exit 1
fi
echo "check-arrows: $(list_crates | wc -l | tr -d ' ') crates keep the rules"
