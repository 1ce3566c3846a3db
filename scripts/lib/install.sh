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

# need_openssl : the tests make a certificate that nobody vouches for.
need_openssl() {
  command -v openssl >/dev/null || need_packages openssl
}

# need_rabbitmq : the tests start private nodes of it. The package starts a service where it may: it is
# kept from that with RUNLEVEL (need_packages), and never touched if it runs already.
need_rabbitmq() {
  [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || need_packages rabbitmq-server
}
