#!/bin/sh
# Copies programs and the shared libraries they need, and directories, out of a root file system.
#
#   collect.sh ROOT INTO PATH...
#
#   ROOT  a Debian root file system     INTO  directory that becomes an image's root
#   PATH  of a program, a library or a directory inside ROOT; links are resolved
set -eu
root=$1 into=$2
shift 2

copy() { # copy FILE: as itself, with the links that lead to it resolved
  [ ! -e "$into$1" ] || return 0
  mkdir -p "$into$(dirname "$1")"
  cp -L "$root$1" "$into$1"
}
for path in "$@"; do
  if [ -d "$root$path" ]; then
    chroot "$root" tar -C / --dereference -cf - ".$path" | tar -C "$into" -xf -
    continue
  fi
  copy "$path"
  # A static program has no libraries: ldd says so and fails.
  chroot "$root" ldd "$path" 2>/dev/null | grep -o '/[^ ]*' |
    while read -r library; do copy "$library"; done || :
done
