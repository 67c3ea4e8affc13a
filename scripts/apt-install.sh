#!/usr/bin/env bash
# Installs the named Debian packages, as root, without starting a service, and leaves nothing else behind.
# It is a script of its own so that sudo is asked for this and nothing more.
set -euo pipefail

readonly POLICY=/usr/sbin/policy-rc.d
readonly MARK="made by Stentor's scripts/apt-install.sh, which removes it"
readonly CLUSTERS=/etc/postgresql-common/createcluster.d
readonly NO_CLUSTER="$CLUSTERS/stentor-no-main-cluster.conf"
# How often, every 5 seconds, a lock that another package manager holds is tried.
readonly LOCK_TRIES=60

if [ "$#" -eq 0 ] || [ "$(id -u)" != 0 ]; then
  echo "usage, as root: ${0##*/} PACKAGE..." >&2
  exit 2
fi

export DEBIAN_FRONTEND=noninteractive
export NEEDRESTART_SUSPEND=1 # Ubuntu's needrestart would restart services that are none of our business
export LC_ALL=C              # apt_get reads what apt-get says

log="$(mktemp)"

# Only what is ours is taken away, whatever ended us.
clean_up() {
  rm -f "$log"
  if is_ours; then rm -f "$POLICY"; fi
  rm -f "$NO_CLUSTER"
  rmdir "$CLUSTERS" 2>/dev/null || true # if it was ours it is empty now
}

is_ours() { [ -f "$POLICY" ] && grep -qF "$MARK" "$POLICY"; }

# A machine's own policy is respected: if it forbids starts, all is well; if not, its owner has to decide.
forbid_starts() {
  local draft service
  if [ -e "$POLICY" ] || [ -L "$POLICY" ]; then
    if is_ours; then
      rm -f "$POLICY" # of a run that was killed: we hold the lock, so nobody else's
    else
      for service in redis-server postgresql postfix postgrey spamassassin kannel; do
        forbids "$service" && continue
        echo "This machine has a $POLICY of its own, which lets packages start services. It is not touched." >&2
        echo "Please install these yourself, as you see fit: apt-get install --no-install-recommends $*" >&2
        exit 1
      done
      return
    fi
  fi
  draft="$(mktemp "$POLICY.XXXXXX")"
  printf '#!/bin/sh\n# %s\nexit 101\n' "$MARK" >"$draft"
  chmod 755 "$draft"
  # Linking makes it whole or not at all, and never over a file that appeared meanwhile.
  ln "$draft" "$POLICY" || { rm -f "$draft"; exit 1; }
  rm -f "$draft"
}

# 101 is the policy's word for "no" (invoke-rc.d(8)).
forbids() {
  local answer=0
  "$POLICY" "$1" start >/dev/null 2>&1 </dev/null || answer=$?
  [ "$answer" -eq 101 ]
}

# PostgreSQL's package also makes a database that would be started at the next boot. The tests make their own.
forbid_main_cluster() {
  mkdir -p "$CLUSTERS"
  printf '# %s\ncreate_main_cluster = false\n' "$MARK" >"$NO_CLUSTER"
}

# apt-get, again as long as another package manager holds a lock.
apt_get() {
  local try
  for ((try = 1; try <= LOCK_TRIES; try++)); do
    if apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null 2>&1 | tee "$log"; then
      return
    fi
    grep -qE 'Could not get lock|Unable to lock|Unable to acquire the dpkg' "$log" || return 1
    echo "Another package manager is at work; trying again in 5 seconds ($try of $LOCK_TRIES)"
    sleep 5
  done
  return 1
}

update() {
  updated=yes
  echo "Reading the lists of packages (apt-get update)"
  # One source that does not answer is no reason to give up: the install says whether the lists suffice.
  apt_get update || echo "apt-get update had trouble; going on with the lists as they are"
}

# Whether the lists that are here know every package.
are_known() {
  local package
  for package in "$@"; do
    apt-cache policy "$package" | grep -qE '^ *Candidate: [^(]' || return 1
  done
}

install() { apt_get install --yes --no-install-recommends "$@"; }

exec 9>/run/lock/stentor-apt-install
flock 9 || exit 1
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

forbid_starts "$@"
updated=no
are_known "$@" || update
case " $* " in *" postgresql "*) forbid_main_cluster ;; esac
if ! install "$@"; then
  [ "$updated" = no ] || exit 1
  update # lists that are too old name files that are gone
  install "$@"
fi

if [ -d /run/systemd/system ]; then
  for unit in redis-server postgresql postfix postgrey spamd kannel; do
    case " $* " in
      *" $unit "*) echo "$unit was not started. Its package starts it at the next boot; if you do not want that: systemctl disable $unit" ;;
    esac
  done
fi
