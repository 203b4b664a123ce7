#!/bin/sh
# Runs the HAProxy of a root file system on the host's files, for checks on a host without HAProxy.
#
#   haproxy ARG...
#
# Needs root. The users that a configuration names are those of the root file system. The toolchain copies
# this script into the cache with the next line filled in.
set -eu
root=
export root
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount --propagation private sh -c '
  mount --bind "$root/etc/passwd" /etc/passwd
  mount --bind "$root/etc/group" /etc/group
  libraries=$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu
  exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" "$root/usr/sbin/haproxy" "$@"
' sh "$@"
