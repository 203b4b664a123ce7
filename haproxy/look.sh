#!/bin/sh
# Looks at the machine before a push, and changes nothing.
#
#   sh look.sh FILE       FILE is what HAProxy reads, e.g. /etc/haproxy/haproxy.cfg
#
# Prints a line for each thing that a push should know of:
#   haproxy      there is no haproxy on this machine
#   edit HASH    an edit by hand: FILE as it is, or one that a push has kept as FILE.by-hand-HASH
#   edit gone    FILE was pushed and is gone
#
# Expects: Linux, coreutils, the right to read FILE.
set -u
export LC_ALL=C
file=$1

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
command -v haproxy >/dev/null || echo haproxy

for kept in "$file".by-hand-*; do
  [ ! -e "$kept" ] || echo "edit ${kept##*-}"
done

# What was there before the first push is no edit.
[ -e "$file.before-istio-lab" ] || [ -e "$file.before-istio-lab-none" ] || exit 0
if [ ! -e "$file" ]; then
  echo "edit gone"
elif [ "$(sed -n '1s/^# istio-lab .* sha256=//p' "$file")" != "$(tail -n +2 "$file" | sha256sum | cut -c 1-64)" ]; then
  echo "edit $(sha256sum <"$file" | cut -c 1-12)"
fi
