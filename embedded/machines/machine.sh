#!/bin/sh
# Becomes one of the lab's machines: a private root file system over a shared read-only one, then init.
#
#   machine.sh ROOT DIR NAME INIT
#
# Expects to run in new mount, pid, uts and ipc namespaces (unshare --mount --pid --uts --ipc --fork
# --propagation private) and in the machine's network namespace.
#   ROOT  root file system, shared by all machines and never written
#   DIR   the machine's directory: etc (its configuration, read as /etc/lab), data/* (bound over /var/lib/*:
#         overlay cannot stack on overlay), bin (binaries, read as /opt/lab/bin), log and run
#   INIT  script beside this one to run as process 1
set -eu
root=$1 dir=$2 name=$3 init=$4
init_dir=$(dirname "$(readlink -f "$0")")

hostname "$name"
rm -rf "$dir/upper" "$dir/work"
mkdir -p "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
cd "$dir/root"

bind() { # bind SOURCE TARGET [OPTIONS]
  mkdir -p ".$2"
  mount --bind "$1" ".$2"
  [ -z "${3:-}" ] || mount -o "remount,bind,$3" ".$2"
}
for data in "$dir"/data/*; do
  bind "$data" "/var/lib/${data##*/}"
done
bind "$dir/etc" /etc/lab ro
bind "$(readlink -f "$dir/bin")" /opt/lab/bin ro
bind "$init_dir" /opt/lab/init ro
bind "$dir/log" /var/log/lab

mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
bind "$dir/run" /run/lab
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >etc/hosts
printf '%s\n' "$name" >etc/hostname
: >etc/resolv.conf

mkdir -p old
# The root file system's own program: Ubuntu 26.04 has none. Its loader is named, or it would load the host's
# libraries.
libraries=lib/x86_64-linux-gnu
"$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" usr/sbin/pivot_root . old
# The kubelet and the container runtime pass mounts on to each other.
mount --make-rshared /
umount -l /old
exec "/opt/lab/init/$init"
