#!/usr/bin/env bash
# Installs what `make bench` measures Stentor beside, as its makers publish it: Node's and Python's packages (bench/peers) into
# target/bench-peers, nginx with nchan, and Go with centrifuge, by the system's package manager. What cannot be had is left out, and the
# benchmark says so.
set -uo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
peers="$here/../bench/peers"
into="$here/../target/bench-peers"
mkdir -p "$into"

say() { echo "==> $*"; }

if ! cmp -s "$peers/package.json" "$into/package.json" || [ ! -d "$into/node_modules" ]; then
  say "Node's peers (bullmq, socket.io, ws)"
  cp "$peers/package.json" "$into/package.json"
  npm install --prefix "$into" --no-audit --no-fund --ignore-scripts || say "they cannot be had"
fi

if ! cmp -s "$peers/requirements.txt" "$into/requirements.txt" || [ ! -x "$into/python/bin/python" ]; then
  say "Python's peers (Celery, RQ)"
  if python3 -m venv "$into/python" && "$into/python/bin/pip" install --quiet --requirement "$peers/requirements.txt"; then
    cp "$peers/requirements.txt" "$into/requirements.txt"
  else
    rm -rf "$into/python"
    say "they cannot be had"
  fi
fi

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
install() {
  # A package would start its server by itself; policy-rc.d says no while this runs.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if [ ! -e /usr/lib/nginx/modules/ngx_nchan_module.so ] && command -v apt-get >/dev/null; then
  say "nginx with nchan"
  install nginx-light libnginx-mod-nchan || say "it cannot be had"
fi

if [ "$peers/centrifuge.go" -nt "$into/centrifuge" ] && command -v apt-get >/dev/null; then
  say "Go with centrifuge"
  # The package of centrifuge does not name all that it is built with.
  go=(golang-go golang-github-centrifugal-centrifuge-dev golang-github-centrifugal-protocol-dev
    golang-github-fzambia-eagle-dev golang-github-igm-sockjs-go-dev golang-github-mna-redisc-dev)
  build() { GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' go build -o "$into/centrifuge" "$peers/centrifuge.go"; }
  if { dpkg -s "${go[@]}" >/dev/null 2>&1 || install "${go[@]}"; } && build; then
    dpkg-query -W -f '${Version}' "${go[1]}" >"$into/centrifuge.version"
  else
    say "it cannot be had"
  fi
fi
exit 0
