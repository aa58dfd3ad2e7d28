# Sourced by ./tidewheel. Everything a machine needs: each part looks first and does nothing when it is there.

say() { echo "tidewheel: $*" >&2; }
die() { say "$@"; exit 1; }

# missing_packages SECTION...: the packages of these sections of third_party/debian-packages.txt that are missing.
missing_packages() {
  local section='' line have choice found
  have=$'\n'$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')$'\n'
  while IFS= read -r line; do
    case $line in
      '' | '#'*) continue ;;
      '['*']') section=${line//[\[\]]/}; continue ;;
    esac
    [[ " $* " == *" $section "* ]] || continue
    found=
    for choice in ${line//|/ }; do
      if [[ $have == *$'\n'"$choice"$'\n'* ]]; then found=1; fi
    done
    [ -n "$found" ] || echo "${line%% *}"
  done <"$root/third_party/debian-packages.txt"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_get() {
  local unsafe=()
  # A machine that is thrown away needs no fsync after each file; it is most of an installation's time.
  if [ "${CI:-}" = true ]; then unsafe=(-o Dpkg::Options::=--force-unsafe-io); fi
  as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -y -qq -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false "${unsafe[@]}" "$@" </dev/null
}

setup_debian() {
  local missing size log server new_servers=()
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0

  # shellcheck disable=SC1091
  if ! (. /etc/os-release && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]) 2>/dev/null; then
    say "this script installs packages on Debian 12 (x86-64) only; here these are missing under their Debian names:"
    printf '  %s\n' "${missing[@]}" >&2
    say "install what corresponds to them, or work in a Debian 12 container"
    exit 1
  fi
  [ "$(dpkg --print-architecture)" = amd64 ] || die "the pinned LibTorch and OpenVINO are for x86-64; this is $(dpkg --print-architecture)"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "packages must be installed: run as root, or install sudo"
    sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; } || die "packages must be installed, and sudo asks for a password: run ./tidewheel setup in a terminal first"
  fi

  log=$(mktemp)
  if ! apt_get update >"$log" 2>&1; then cat "$log" >&2; rm -f "$log"; die "apt-get update failed"; fi
  size=$(as_root env LC_ALL=C apt-get --assume-no --no-install-recommends install "${missing[@]}" 2>"$log" </dev/null |
    sed -nE 's/^([0-9]+) upgraded, ([0-9]+) newly installed.*/\2 packages with what they need/p; s/^Need to get (.*) of archives.*/\1 to download/p; s/^After this operation, (.*) of additional disk space.*/\1 on disk/p' | paste -sd, | sed 's/,/, /g') || true
  [ -n "$size" ] || { cat "$log" >&2; rm -f "$log"; die "apt-get cannot install: ${missing[*]}"; }
  say "installs from Debian: ${missing[*]}"
  say "  $size"

  # A private cluster per checkout is all we start: Debian's own PostgreSQL cluster is not made, and no server of these packages
  # starts now or with the machine. Servers that are already there are left as they are.
  if [ ! -e /usr/share/postgresql-common ]; then
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" | as_root tee /etc/postgresql-common/createcluster.d/tidewheel.conf >/dev/null
  fi
  for server in prometheus prometheus-alertmanager; do
    if [[ " ${missing[*]} " == *" $server "* ]]; then new_servers+=("$server"); fi
  done
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod 755 /usr/sbin/policy-rc.d
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  if ! apt_get install "${missing[@]}" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    die "apt-get install failed"
  fi
  rm -f "$log"
  if [ "$(trap -p EXIT)" ]; then as_root rm -f /usr/sbin/policy-rc.d; trap - EXIT; fi
  if [ ${#new_servers[@]} -gt 0 ] && command -v systemctl >/dev/null; then
    as_root systemctl disable --quiet "${new_servers[@]}" 2>/dev/null || true
  fi
}

# setup_venv NAME REQUIREMENTS WHAT: the virtual environment $TIDEWHEEL_CACHE/NAME, marked with the hash of its requirements.
setup_venv() {
  local venv=$TIDEWHEEL_CACHE/$1 requirements=$root/third_party/$2 what=$3 mark
  mark="$(sha256sum <"$requirements" | cut -d' ' -f1) $(/usr/bin/python3 --version)"
  [ "$(cat "$venv/.tidewheel-requirements" 2>/dev/null)" != "$mark" ] || return 0
  say "makes $what in $venv"
  mkdir -p "$TIDEWHEEL_CACHE"
  rm -rf "$venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --no-cache-dir --no-deps --only-binary=:all: --require-hashes --requirement "$requirements" </dev/null
  echo "$mark" >"$venv/.tidewheel-requirements"
}

# The load generator of tests/clients, from third_party/ghz/go.sum; $TIDEWHEEL_CACHE/ghz, marked with the hash of what it was built from.
# Its Go is newer than Debian 12's: where there is none it is left out, and its test says so.
setup_ghz() {
  local folder=$TIDEWHEEL_CACHE/ghz mark
  mark=$(cat "$root"/third_party/ghz/go.{mod,sum} | sha256sum | cut -d' ' -f1)
  [ "$(cat "$folder/.tidewheel-sources" 2>/dev/null)" != "$mark" ] || return 0
  if ! (cd "$root/third_party/ghz" && GOTOOLCHAIN=local go version >/dev/null 2>&1 && GOTOOLCHAIN=local go list -mod=readonly -m >/dev/null 2>&1); then
    say "leaves out ghz, the load generator of a test: there is no Go of the version that third_party/ghz/go.mod names"
    return 0
  fi
  say "builds ghz in $folder (about a minute)"
  mkdir -p "$folder"
  (cd "$root/third_party/ghz" && GOFLAGS="" GOTOOLCHAIN=local go build -mod=readonly -buildvcs=false -trimpath -o "$folder/ghz" github.com/bojand/ghz/cmd/ghz </dev/null)
  echo "$mark" >"$folder/.tidewheel-sources"
}

setup_kafka() {
  "$root/third_party/kafka/fetch" "$TIDEWHEEL_KAFKA_JARS" </dev/null | sed -e 's/\x1b\[[0-9;]*m//g' -e '/is complete$/d' -e '/^$/d' >&2
}

# setup [--test] [--kafka] [--bench] [--peers] [--servers] [--fuzz]
setup() {
  local sections=(build run) with_test= with_kafka= with_peers= with_servers= word
  for word in "$@"; do
    case $word in
      --test) sections+=(test); with_test=1 ;;
      --kafka) sections+=(kafka); with_kafka=1 ;;
      --bench) sections+=(bench) ;;
      --peers) sections+=(peers); with_peers=1 ;;
      --servers) with_servers=1 ;;
      --fuzz) sections+=(fuzz) ;;
      *) die "setup knows --test, --kafka, --bench, --peers, --servers and --fuzz, not $word" ;;
    esac
  done
  setup_debian "${sections[@]}"
  if [ ! -d "$TIDEWHEEL_CACHE/third-party/libtorch-2.15.0" ]; then
    say "unpacks LibTorch and OpenVINO into $TIDEWHEEL_CACHE/third-party (615 MB to download, 610 MB on disk)"
  fi
  /usr/bin/python3 "$root/tools/fetch-third-party" >&2
  if [ -n "$with_test" ]; then setup_venv test-venv requirements-test.txt "the tests' Python environment (about 140 MB)"; fi
  if [ -n "$with_test" ]; then setup_venv clients-venv requirements-clients.txt "the Python environment of clients (about 190 MB)"; setup_ghz; fi
  if [ -n "$with_peers" ]; then setup_venv peers-venv requirements-peers.txt "the peers' Python environment (about 520 MB)"; fi
  if [ -n "$with_servers" ]; then setup_venv servers-venv requirements-servers.txt "the environment of other servers (about 560 MB)"; fi
  if [ -n "$with_kafka" ]; then setup_kafka; fi
}
