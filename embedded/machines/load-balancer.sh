#!/bin/sh
# Becomes the load-balancer machine: systemd-nspawn boots a Debian over a private copy-on-write disk.
#
#   load-balancer.sh ROOT DIR NAME NETNS
#
# Expects to run in a new mount namespace (unshare --mount --propagation private).
#   ROOT   root file system with systemd, sshd, sudo and haproxy, never written
#   DIR    the machine's directory: files/ is copied over the root before the first boot, disk/ keeps what
#          the machine writes
#   NETNS  the machine's network namespace
set -eu
root=$1 dir=$2 name=$3 netns=$4
user=lab

first=
[ -d "$dir/disk" ] || first=yes
mkdir -p "$dir/disk" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/disk,workdir=$dir/work" "$dir/root"
if [ -n "$first" ]; then
  chroot "$dir/root" useradd --create-home --shell /bin/sh "$user"
  cp -a "$dir/files/." "$dir/root/"
  chroot "$dir/root" chown -R "$user:$user" "/home/$user"
  printf '%s\n' "$name" >"$dir/root/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$dir/root/etc/hosts"
fi
exec systemd-nspawn --quiet --boot --directory="$dir/root" --machine="$name" --register=no --keep-unit \
  --network-namespace-path="/run/netns/$netns" --resolv-conf=off --timezone=off --link-journal=no \
  --console=pipe
