#!/bin/sh
# Copies programs and the shared libraries they need out of a root file system.
#
#   collect.sh ROOT INTO FILE...
#
#   ROOT  a Debian root file system     INTO  directory that becomes an image's root
#   FILE  path of a program or library inside ROOT
set -eu
root=$1 into=$2
shift 2

copy() { # copy FILE: as itself, with the links that lead to it resolved
  [ ! -e "$into$1" ] || return 0
  mkdir -p "$into$(dirname "$1")"
  cp -L "$root$1" "$into$1"
}
for file in "$@"; do
  copy "$file"
  # A static program has no libraries: ldd says so and fails.
  chroot "$root" ldd "$file" 2>/dev/null | grep -o '/[^ ]*' |
    while read -r library; do copy "$library"; done || :
done
