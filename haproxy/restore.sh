#!/bin/sh
# Undoes push.sh: puts back exactly the file from before the first push, or takes ours away where there was none.
# Touches nothing when the file is no longer ours. A second run finds nothing to do.
#
#   sh restore.sh [--file FILE] [--reload COMMAND] [--owner OWNER] [--dry-run]
#
#   --file     the file HAProxy reads      /etc/haproxy/haproxy.cfg
#   --reload   starts or reloads HAProxy   systemctl, unit haproxy
#   --owner    only a file of this owner   any owner
#   --dry-run  says what would be done; changes nothing
#
# Expects: Linux, root or `sudo -n`, coreutils, flock. push.sh tells which files lie beside FILE.
#
# Exit status: 0 nothing of this project is left in FILE, 1 it could not be undone, 2 wrong usage.
set -eu
umask 022
export LC_ALL=C

file=/etc/haproxy/haproxy.cfg
reload=
owner=
dry_run=

main() {
  parse_arguments "$@"
  become_root "$@"
  find_paths
  take_lock
  # What a push that was killed has staged may hold a key.
  [ -n "$dry_run" ] || rm -f "$directory/.$name.istio-lab-new."*
  if [ ! -f "$file" ]; then
    [ -n "$dry_run" ] || rm -f "$before-none" "$old" "$certificates"*.pem
    if [ -f "$before" ]; then put_back; else say "nothing to do: there is no $file"; fi
    return
  fi
  if ! is_ours; then
    say "nothing to do: $file is not this stack's (first line: $(head -n 1 "$file" | cut -c 1-100))"
    return
  fi
  keep_an_edit
  if [ -f "$before" ]; then put_back; else take_away; fi
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --file | --reload | --owner)
        [ $# -ge 2 ] || usage "$1 needs a value"
        case $1 in
          --file) file=$2 ;;
          --reload) reload=$2 ;;
          --owner) owner=$2 ;;
        esac
        shift 2
        ;;
      --dry-run)
        dry_run=yes
        shift
        ;;
      *) usage "unknown argument $1" ;;
    esac
  done
  case $file in /*) ;; *) usage "--file $file is not an absolute path" ;; esac
}

# Only a script that is a file can start itself again; a caller that hands in the text runs it as root already.
become_root() {
  [ "$(id -u)" -ne 0 ] || return 0
  [ -f "$0" ] || fail "this must run as root"
  exec sudo -n -- sh "$0" "$@"
}

find_paths() {
  certificates=$file.tls-
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  if [ -L "$file" ]; then file=$(readlink -f "$file"); fi
  directory=$(dirname "$file")
  name=$(basename "$file")
  before=$file.before-istio-lab
  old=$directory/.$name.istio-lab-old
  if [ ! -d "$directory" ]; then
    say "nothing to do: there is no directory $directory"
    exit 0
  fi
}

take_lock() {
  exec 9<"$directory"
  flock -w 60 9 || fail "another push to $directory has been at work for 60 s; nothing was changed"
}

is_ours() {
  theirs=$(sed -n '1s/^# istio-lab owner=\([^ ]*\) sha256=[0-9a-f]\{64\}$/\1/p' "$file")
  [ -n "$theirs" ] && { [ -z "$owner" ] || [ "$owner" = "$theirs" ]; }
}

keep_an_edit() {
  hash=$(sed -n '1s/.* sha256=//p' "$file")
  actual=$(tail -n +2 "$file" | sha256sum | cut -c 1-64)
  if [ "$hash" = "$actual" ] || [ -n "$dry_run" ]; then return; fi
  by_hand=$file.by-hand-$(sha256sum <"$file" | cut -c 1-12)
  cp -p "$file" "$by_hand" || fail "cannot keep the edit by hand of $file in $directory; nothing was changed"
  say "edited by hand: the edit is kept in $by_hand"
}

put_back() {
  if [ -n "$dry_run" ]; then
    say "dry run: would put back $before as $file and reload HAProxy"
    return
  fi
  trap '' HUP INT TERM PIPE
  mv -f "$before" "$file"
  rm -f "$before-none" "$old" "$certificates"*.pem
  sync "$directory"
  if reload_if_active; then
    say "restored: $file, as it was before the first push"
  else
    say "restored: $file, as it was before the first push, but HAProxy does not reload with it: $(haproxy -c -f "$file" 2>&1 | grep -F '[ALERT]' | head -n 5)"
  fi
}

# Without a file HAProxy cannot have served before the first push: it is stopped, not left with a config that is gone.
take_away() {
  if [ -n "$dry_run" ]; then
    say "dry run: would remove $file and stop HAProxy"
    return
  fi
  trap '' HUP INT TERM PIPE
  rm -f "$file" "$before-none" "$old" "$certificates"*.pem
  sync "$directory"
  if [ -n "$reload" ]; then
    say "removed: $file, there was none before the first push; HAProxy still runs with it, stop it when you please"
  else
    systemctl stop haproxy 2>/dev/null || true
    say "removed: $file, there was none before the first push; HAProxy is stopped"
  fi
}

reload_if_active() {
  if [ -n "$reload" ]; then
    sh -c "$reload" </dev/null >/dev/null 2>&1 9<&-
  elif systemctl is-active --quiet haproxy 2>/dev/null; then
    systemctl reload haproxy 2>/dev/null
  fi
}

say() {
  echo "$*" || true
}

fail() {
  echo "error: $*" >&2
  exit 1
}

usage() {
  echo "error: $*" >&2
  echo "usage: sh restore.sh [--file FILE] [--reload COMMAND] [--owner OWNER] [--dry-run]" >&2
  exit 2
}

main "$@"
