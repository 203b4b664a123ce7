#!/bin/sh
# Undoes push.sh: puts back exactly the file from before the first push, or removes ours where there was none.
# Touches nothing when the file is no longer ours. A second run finds nothing to do.
#
#   sh restore.sh [--file FILE] [--reload COMMAND] [--owner OWNER] [--dry-run]
#
#   --file     the file HAProxy reads      /etc/haproxy/haproxy.cfg
#   --reload   starts or reloads HAProxy   systemctl, unit haproxy
#   --owner    only a file of this owner   any owner
#   --dry-run  reports what would be done; changes nothing
#
# By hand, from another machine, in this directory:
#   cat common.sh restore.sh | ssh lb sudo sh -s
#
# Expects: Linux, root or `sudo -n`, coreutils, flock. push.sh lists the files beside FILE.
#
# Exit status: 0 nothing of this project is left in FILE, 1 it could not be undone, 2 wrong usage.
[ -n "${common-}" ] || . "$(dirname "$0")/common.sh"
options=" --file --reload --owner --dry-run "
synopsis="sh restore.sh [--file FILE] [--reload COMMAND] [--owner OWNER] [--dry-run]"

main() {
  parse_arguments "$@"
  become_root "$@"
  find_paths
  if [ ! -d "$directory" ]; then
    say "nothing to do: there is no directory $directory"
    return
  fi
  take_lock
  remove_stale_files
  if [ ! -f "$file" ]; then
    [ -n "$dry_run" ] || rm -f "$before-none" "$old" "$certificates"*.pem
    if [ -f "$before" ]; then put_back; else say "nothing to do: there is no $file"; fi
  elif ! is_ours; then
    say "nothing to do: $file is not this stack's (first line: $(head -n 1 "$file" | cut -c 1-100))"
  else
    keep_an_edit
    if [ -f "$before" ]; then put_back; else take_away; fi
  fi
}

is_ours() {
  theirs=$(owner_of "$file")
  [ -n "$theirs" ] && { [ -z "$owner" ] || [ "$owner" = "$theirs" ]; }
}

keep_an_edit() {
  if [ -n "$dry_run" ] || is_intact "$file"; then return; fi
  by_hand=$(by_hand_name)
  copy "$file" "$by_hand"
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
    why=$(haproxy -c -f "$file" 2>&1 | grep -F '[ALERT]' | head -n 5) || true
    say "restored: $file, as it was before the first push, but HAProxy does not reload with it: $why"
  fi
}

# Without a file HAProxy cannot have served before the first push: it is stopped, not left without its file.
take_away() {
  if [ -n "$dry_run" ]; then
    say "dry run: would remove $file and stop HAProxy"
    return
  fi
  trap '' HUP INT TERM PIPE
  rm -f "$file" "$before-none" "$old" "$certificates"*.pem
  sync "$directory"
  if [ -n "$reload" ]; then
    say "removed: $file, there was none before the first push; HAProxy runs until you stop it"
  else
    systemctl stop haproxy 2>/dev/null || true
    say "removed: $file, there was none before the first push; HAProxy is stopped"
  fi
}

# A stopped HAProxy stays stopped.
reload_if_active() {
  [ -n "$reload" ] || systemctl is-active --quiet haproxy 2>/dev/null || return 0
  start_or_reload
}

main "$@"
