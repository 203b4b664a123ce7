#!/bin/sh
# Undoes push.sh: puts back exactly the file from before the first push, or removes ours where there was none.
# Touches nothing when the file is no longer ours. A second run finds nothing to do.
#
#   sh restore.sh [--file FILE] [--mode include] [--unit UNIT] [--reload COMMAND] [--owner OWNER] [--dry-run]
#
#   --file     the file HAProxy reads                    /etc/haproxy/haproxy.cfg
#   --mode     include: FILE lives beside others, which are served on
#   --unit     systemd's unit of HAProxy                 haproxy
#   --reload   starts or reloads HAProxy without systemd
#   --owner    only a file of this owner                 any owner
#   --dry-run  reports what would be done; changes nothing
#
# By hand, from another machine, in this directory:
#   cat common.sh ask.sh unit.sh restore.sh | ssh lb sudo sh -s
#
# Expects: Linux, root or `sudo -n`, coreutils, flock; with `include` perl. push.sh lists the files that lie
# beside FILE.
#
# Exit status: 0 nothing of this project is left in FILE, 1 it could not be undone, 2 wrong usage.
if [ -z "${common-}" ]; then
  . "$(dirname "$0")/common.sh"
  . "$(dirname "$0")/ask.sh"
  . "$(dirname "$0")/unit.sh"
fi
options=" --file --mode --unit --reload --owner --dry-run "
synopsis="sh restore.sh [--file FILE] [--mode include] [--unit UNIT] [--reload COMMAND] [--owner OWNER] \
[--dry-run]"

main() {
  parse_arguments "$@"
  become_root "$@"
  find_paths
  if [ ! -d "$directory" ]; then
    say "nothing to do: there is no directory $directory"
    return
  fi
  read_unit
  take_lock
  remove_stale_files
  worker_socket=
  [ ! -f "$file" ] || worker_socket=$(worker_socket_of "$file")
  if [ ! -f "$file" ]; then
    [ -n "$dry_run" ] || rm -f "$before-none" "$old" "$certificates"*.pem
    if [ -f "$before" ]; then put_back; else say "nothing to do: there is no $file"; fi
  elif ! is_ours; then
    # A push that was killed before it replaced the file has left a copy of it.
    if [ -z "$dry_run" ] && cmp -s "$file" "$before"; then rm -f "$before"; fi
    say "nothing to do: $file is not this stack's (first line: $(head -n 1 "$file" | cut -c 1-100))"
  else
    [ "$mode" != include ] || check_others
    keep_an_edit
    if [ "$mode" = include ]; then leave; elif [ -f "$before" ]; then put_back; else take_away; fi
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

# Files that are refused without ours would keep HAProxy from reloading, and from its next start.
check_others() {
  listens_elsewhere=
  reads_others || return 0
  listens_elsewhere=yes
  if accepts; then return; fi
  case $report in *"no listener"*)
    listens_elsewhere=
    return
    ;;
  esac
  accepts "$file" || return 0
  refusal | sed 's/^/  /' >&2
  fail "HAProxy refuses its other files without $file; change them first. Nothing was changed"
}

# The other sites are served on.
leave() {
  if [ -n "$dry_run" ]; then
    say "dry run: would remove $file and reload HAProxy"
    return
  fi
  trap '' HUP INT TERM PIPE
  rm -f "$file" "$before-none" "$old" "$certificates"*.pem
  sync "$directory"
  if [ -z "$listens_elsewhere" ]; then
    systemctl stop "$unit" 2>/dev/null || true
    say "removed: $file; HAProxy is stopped, because its other files listen nowhere"
  elif serves_without_ours; then
    say "removed: $file; HAProxy goes on with its other files"
  else
    say "removed: $file, but HAProxy does not reload without it: $(refusal)"
  fi
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
  if serves_without_ours; then
    say "restored: $file, as it was before the first push"
  else
    say "restored: $file, as it was before the first push, but HAProxy does not reload with it:" \
      "$(refusal "$file")"
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
    systemctl stop "$unit" 2>/dev/null || true
    say "removed: $file, there was none before the first push; HAProxy is stopped"
  fi
}

# HAProxy reloads, and its new process does not need the socket of a worker process of ours.
serves_without_ours() {
  reload_if_active || return 1
  [ -z "$worker_socket" ] || rm -f "$worker_socket"
}

# refusal [FILE]: HAProxy's own lines on the files that `accepts` checks, five at most.
refusal() {
  accepts "$@" || true
  printf '%s\n' "$report" | grep -F '[ALERT]' | head -n 5 || true
}

# A stopped HAProxy stays stopped.
reload_if_active() {
  [ -n "$reload" ] || is_active || return 0
  start_or_reload
}

main "$@"
