#!/usr/bin/env bash
# Sees to what Stentor needs from the system: with --tests also what the suite needs, with --lint what the checks need.
# Only what is absent is installed, by the system's package manager, and no service is started. Where that cannot be
# done (no apt-get, no sudo) it says what is missing and which command brings it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"

tests=no lint=no
for argument in "$@"; do
  case "$argument" in
    --tests) tests=yes ;;
    --lint) lint=yes ;;
    *) echo "usage: ${0##*/} [--tests] [--lint]" >&2; exit 2 ;;
  esac
done

say() { echo "==> $*"; }

# --- is it there? -------------------------------------------------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }

# A compiler without the C library's headers is no use: libsqlite3 and ring are built from C.
has_c_compiler() { printf '#include <stdio.h>\nint main(void) { return 0; }\n' | cc -x c -o /dev/null - >/dev/null 2>&1; }

# Debian keeps each version's server programs out of the path; the tests look in the same places.
has_postgres() {
  local initdb
  for initdb in /usr/lib/postgresql/*/bin/initdb; do
    [ -x "$initdb" ] && return
  done
  has initdb
}

# The tests run Debian's Python, whatever `python3` is first in the path.
has_python() { /usr/bin/python3 -c "import $1" >/dev/null 2>&1; }

has_chromium() { [ -n "${CHROMIUM:-}" ] || has chromium; }

# Debian's postfix; its programs are where no path leads.
has_postfix() { [ -x /usr/lib/postfix/sbin/master ] || [ -x /usr/libexec/postfix/master ]; }

# Its greylister, likewise.
has_postgrey() { [ -x /usr/sbin/postgrey ]; }

has_libfaketime() {
  local library
  for library in /usr/lib/*/faketime/libfaketimeMT.so.1; do
    [ -e "$library" ] && return
  done
  return 1
}

# Its fake SMSC is in kannel-extras.
has_fakesmsc() { [ -x /usr/lib/kannel/test/fakesmsc ]; }

# `kill` as a program: each shell has one of its own.
has_kill() { [ -x /bin/kill ] || [ -x /usr/bin/kill ]; }

# --- what is missing ----------------------------------------------------------------------------------------------

missing=() # Debian's names of packages
list_missing() {
  missing=()
  need redis-server has redis-server
  need curl has curl
  has_c_compiler || missing+=(gcc libc6-dev)
  if [ "$tests" = yes ]; then
    need redis-tools has redis-cli
    need postgresql has_postgres
    need openssl has openssl
    need procps has_kill
    need python3-aiosmtpd has_python aiosmtpd.controller
    need python3-dkim has_python dkim
    need libfaketime has_libfaketime
    need kannel has bearerbox
    need kannel-extras has_fakesmsc
    need postfix has_postfix
    need postgrey has_postgrey
    need spamassassin has spamassassin
    need chromium has_chromium
  fi
  if [ "$tests" = yes ] || [ "$lint" = yes ]; then
    need nodejs has node
    need npm has npm
  fi
  if [ "$lint" = yes ]; then
    need shellcheck has shellcheck
  fi
}

need() {
  local package="$1"
  shift
  "$@" || missing+=("$package")
}

# What to type where there is no apt-get.
say_elsewhere() {
  echo "Missing (by Debian's names): ${missing[*]}"
  echo "There is no apt-get here, so please bring them yourself:"
  case "$(uname -s)" in
    Darwin)
      echo "    brew install redis                      # redis-server"
      echo "    xcode-select --install                  # a C compiler"
      echo "    brew install postgresql openssl shellcheck node   # for the tests and checks; CHROMIUM=path for the browser's"
      echo "    /usr/bin/python3 -m pip install --user aiosmtpd dkimpy"
      [ "$tests" = no ] || echo "The tests' own PostgreSQL is started the way Linux allows (/proc): some need Linux."
      ;;
    *)
      if has dnf; then
        echo "    sudo dnf install redis gcc curl               # or valkey-compat-redis, where redis is gone"
        echo "    sudo dnf install postgresql-server openssl procps-ng ShellCheck nodejs chromium   # for the tests and checks"
      elif has pacman; then
        echo "    sudo pacman -S redis gcc curl                 # or valkey"
        echo "    sudo pacman -S postgresql openssl procps-ng shellcheck npm chromium   # for the tests and checks"
      else
        echo "    with your package manager: redis-server 7 or later, curl, a C compiler;"
        echo "    for the tests and checks: PostgreSQL's server programs, openssl, procps, shellcheck, Node 20, Chromium"
      fi
      [ "$tests" = no ] || echo "    /usr/bin/python3 -m pip install --user aiosmtpd dkimpy"
      ;;
  esac
}

install() {
  if [ "$(id -u)" = 0 ]; then
    bash "$here/apt-install.sh" "${missing[@]}"
  elif ! has sudo; then
    echo "Missing: ${missing[*]}. You are not root and there is no sudo. As root, please run"
    echo "    bash $here/apt-install.sh ${missing[*]}"
    return 1
  elif [ -t 0 ]; then
    say "sudo may ask for your password, to install packages; nothing else runs as root"
    sudo bash "$here/apt-install.sh" "${missing[@]}"
  else
    sudo -n bash "$here/apt-install.sh" "${missing[@]}" || {
      echo "Installing did not work. By hand: sudo bash $here/apt-install.sh ${missing[*]}"
      return 1
    }
  fi
}

# Redis 7 or later, or Valkey, whose numbers go on from there. "Redis server v=7.0.15 sha=…"
check_redis_version() {
  local version
  version="$(redis-server --version | sed -n 's/.*v=\([0-9][0-9.]*\).*/\1/p')"
  if [ "${version%%.*}" -lt 7 ] 2>/dev/null; then
    echo "redis-server is $version, and Stentor needs 7 or later. Debian 12 and Ubuntu 24.04 have it; on an older release"
    echo "take it from https://redis.io/docs/latest/operate/oss_and_stack/install/ and put it first in the PATH."
    return 1
  fi
}

# Playwright asks for Node 20 (Debian 13 has it). "v20.20.2"
check_node_version() {
  local version
  version="$(node --version)"
  version="${version#v}"
  if [ "${version%%.*}" -lt 20 ] 2>/dev/null; then
    echo "node is $version, and the browser tests need 20 or later: take it from https://nodejs.org and put it first in the PATH."
    return 1
  fi
}

# --- do it --------------------------------------------------------------------------------------------------------

list_missing
if [ "${#missing[@]}" -gt 0 ]; then
  if ! has apt-get; then
    say_elsewhere >&2
    exit 1
  fi
  say "Installing what is missing, without starting any service: ${missing[*]}"
  install >&2
  list_missing
  if [ "${#missing[@]}" -gt 0 ]; then
    echo "Installed, but still not found: ${missing[*]}. Is another program of that name first in the PATH?" >&2
    exit 1
  fi
fi
check_redis_version >&2
[ "$tests" = no ] || check_node_version >&2
rust_options=()
[ "$lint" = no ] || rust_options+=(--lint)
bash "$here/check-rust.sh" ${rust_options[@]+"${rust_options[@]}"}
say "The system has what is needed"
