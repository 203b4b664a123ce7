#!/bin/sh
# Puts a new haproxy.cfg into use without dropping a request, or leaves the old one in use.
#
#   sh push.sh [OPTION...] < haproxy.cfg
#   sh push.sh --look [OPTION...]
#
#   --file     the file HAProxy reads                                /etc/haproxy/haproxy.cfg
#   --mode     file: takes over a file that serves other clients        such a file is refused
#              include: FILE lives beside others, in a directory that HAProxy reads
#   --probe    where a worker process of ours answers with its pid   as in the new file
#   --socket   HAProxy's admin socket, as in the new file            /run/haproxy/admin.sock
#   --unit     systemd's unit of HAProxy                             haproxy
#   --reload   starts or reloads HAProxy without systemd
#   --dry-run  reports what would be done; changes nothing
#   --look     reports what would make a push fail, as checks.sh lists it; changes nothing
#   --owner    the owner of the file to come
#   --listen   its addresses, as on its `bind` lines, in one word
#
# By hand, from another machine, in this directory:
#   cat common.sh ask.sh unit.sh checks.sh push.sh | ssh lb 'cat >push.sh' && ssh lb sh push.sh <haproxy.cfg
#
# Expects: Linux, root or `sudo -n`, coreutils, awk, flock, perl, haproxy. With `ss` it names the holder of a
# port. Chain and key for `bind … crt FILE.tls-HASH.pem` may stand in front of the file:
# cat tls.pem haproxy.cfg | …
#
# With `include` the others' files stay as they are: FILE is checked together with them, by the command line
# that the unit runs, and a new FILE that fails is removed again.
#
# Files beside FILE:
#   FILE.before-istio-lab       the file from before the first push, for restore.sh
#   FILE.before-istio-lab-none  there was no file before the first push
#   FILE.by-hand-HASH           an edit by hand that a push replaced
#   FILE.tls-HASH.pem           chain and key that one of these files names, readable by root alone
#   .NAME.istio-lab-old         the previous file, during a push
#   .NAME.istio-lab-new.*       a file that is being staged, its key readable by root alone; the next push or
#                               restore removes what a killed one has left
#
# Exit status: 0 the new file serves (or did already), 1 the old state is unchanged or back, 2 wrong usage.
if [ -z "${common-}" ]; then
  . "$(dirname "$0")/common.sh"
  . "$(dirname "$0")/ask.sh"
  . "$(dirname "$0")/unit.sh"
  . "$(dirname "$0")/checks.sh"
fi
options=" --file --mode --probe --socket --unit --reload --dry-run --look --owner --listen "
synopsis="sh push.sh [--file FILE] [--mode file|include] [--probe SOCKET] [--socket SOCKET] [--unit UNIT] \
[--reload COMMAND] [--dry-run] < haproxy.cfg
       sh push.sh --look [--file FILE] [--mode file|include] [--socket SOCKET] [--unit UNIT] \
[--reload COMMAND] [--owner OWNER] [--listen LIST]"
staged="" record="" swapped="" worker=""
patience=10 # seconds for a new worker process to answer

main() {
  parse_arguments "$@"
  find_paths
  if [ -n "$look" ]; then
    look_around
    return
  fi
  become_root "$@"
  read_unit
  check_tools
  check_service
  check_directories
  check_writable
  check_selinux
  take_lock
  remove_stale_files
  stage
  stage_certificate
  check_staged
  if [ -f "$file" ]; then
    check_owner "$(owner_of "$staged")"
    check_other_services
  fi
  addresses=$(sed -n 's/^ *bind \([^ ]*\).*/\1/p' "$staged" | sort -u)
  check_files "$addresses"
  check_ports "$addresses"
  if [ -f "$file" ] && cmp -s "$file" "$staged" && [ ! -e "$old" ]; then
    unchanged
    return
  fi
  if [ -n "$dry_run" ]; then
    say "dry run: would replace $file and reload HAProxy"
    if [ -f "$file" ]; then diff -u "$file" "$staged" || true; fi
    return
  fi
  keep_previous
  swap
  if bring_into_use; then
    rm -f "$old"
    say "pushed: $file, HAProxy worker $worker serves it"
  else
    roll_back
    exit 1
  fi
}

stage() {
  trap clean_up EXIT
  # Without PIPE a caller that has hung up would end the script before the staged file is removed.
  trap 'exit 1' HUP INT TERM PIPE
  if [ -n "$dry_run" ]; then
    staged=$(mktemp)
  else
    staged=$(mktemp "$staging.XXXXXX") || fail "cannot write to $directory; nothing was changed"
  fi
  cat >"$staged" || no_room
  split_certificate
  is_intact "$staged" ||
    fail "the new file did not arrive whole, or is not one of this project's; nothing was changed"
  if [ -f "$file" ]; then
    chown --reference="$file" "$staged"
    chmod --reference="$file" "$staged"
  else
    chmod 0644 "$staged"
  fi
  [ -n "$dry_run" ] || sync "$staged"
  [ -n "$probe" ] || probe=$(worker_socket_of "$staged")
}

# Until here the staged file holds the key, readable by root alone.
split_certificate() {
  pem=$staged.pem
  (umask 077 && sed "/$first_line_begins/,\$d" "$staged" >"$pem") || no_room
  if [ ! -s "$pem" ]; then
    rm -f "$pem"
    return
  fi
  (umask 077 && sed -n "/$first_line_begins/,\$p" "$staged" >"$staged.part") || no_room
  mv "$staged.part" "$staged"
}

no_room() {
  free=$(df -P "$directory" | awk 'NR==2 {print $4}')
  fail "cannot stage the new file in $directory ($free KiB free); nothing was changed"
}

# The name holds the hash: a push overwrites no certificate that an older file needs.
stage_certificate() {
  certificate=$(sed -n 's/^ *bind .* crt \([^ ]*\.tls-[0-9a-f]*\.pem\)\( .*\)\{0,1\}$/\1/p' "$staged" |
    head -n 1)
  checked=$staged
  [ -n "$certificate" ] && [ -s "$pem" ] || return 0
  case $certificate in
    "$certificates"*) ;;
    *) fail "the new file wants its certificate in $certificate, not beside $file; nothing was changed" ;;
  esac
  if [ -n "$dry_run" ]; then
    checked=$staged.checked
    sed "s|$certificate|$pem|" "$staged" >"$checked"
  elif ! cmp -s "$pem" "$certificate"; then
    sync "$pem"
    mv -f "$pem" "$certificate"
  fi
}

# Checks the very file that is moved into place afterwards, together with all others that HAProxy reads.
check_staged() {
  if accepts "$checked"; then
    printf '%s\n' "$report" | sed -n "s/.*could not resolve address '\([^']*\)'.*/\1/p" | sort -u |
      while read -r node; do
        warn "$node cannot be resolved here; requests go to the other nodes"
      done
    return
  fi
  rejected=$report
  what="the new file"
  if [ "$mode" = include ] && refuses_others; then
    rejected=$report
    what="the files that are there already, without the new one"
  fi
  complain "HAProxy rejects $what; nothing was changed, $(what_serves)" "$rejected" "$staged"
  exit 1
}

unchanged() {
  if is_active && { [ "$mode" != include ] || [ -n "$(ask_http "$probe")" ]; }; then
    say "unchanged: $file, no reload"
  elif [ -n "$dry_run" ]; then
    say "dry run: would start HAProxy; $file is as it should be"
  elif bring_into_use; then
    say "unchanged: $file; HAProxy did not serve with it, worker $worker does now"
  else
    complain "$file is as it should be, but HAProxy does not come up" "$(alerts)" "$file"
    exit 1
  fi
}

# The first push keeps what it found; a roll-back removes a copy that this run has made. A push that was
# killed before it replaced the file has left the same copy.
keep_previous() {
  if [ ! -f "$file" ]; then
    if [ ! -e "$before" ] && [ ! -e "$before-none" ]; then record=$before-none && : >"$record"; fi
  elif [ -z "$(owner_of "$file")" ] && [ ! -e "$before-none" ] &&
    { [ ! -e "$before" ] || cmp -s "$before" "$file"; }; then
    record=$before
    copy "$file" "$record"
    say "kept: $record, which restore.sh puts back"
  elif ! is_intact "$file"; then
    by_hand=$(by_hand_name)
    copy "$file" "$by_hand"
    say "edited by hand: the edit is kept in $by_hand"
  elif [ ! -e "$before" ]; then
    : >"$before-none"
  fi
}

# From here on the push ends one way or the other, whether or not the caller hangs up.
swap() {
  trap '' HUP INT TERM PIPE
  if [ -f "$file" ] && [ ! -e "$old" ]; then copy "$file" "$old"; fi
  was_active=
  if is_active; then was_active=yes; fi
  mv -f "$staged" "$file"
  swapped=yes
  sync "$directory"
}

# Reloads or starts HAProxy and waits for an answer of a new worker process.
bring_into_use() {
  previous_worker=$(worker_pid)
  mark_log
  start_or_reload || return 1
  deadline=$(($(date +%s) + patience))
  tries=0
  while [ "$(date +%s)" -lt "$deadline" ]; do
    worker=$(worker_pid)
    if [ -n "$worker" ] && [ "$worker" != "$previous_worker" ] && answers; then return 0; fi
    tries=$((tries + 1))
    if [ $((tries % 10)) -eq 0 ] && alerts | grep -q 'Exiting'; then return 1; fi
    sleep 0.1
  done
  return 1
}

# True when the new worker process itself takes requests. Without a probe, that there is one is enough.
answers() {
  [ -z "$probe" ] || [ "$(ask_http "$probe")" = "$worker" ]
}

roll_back() {
  report=$(alerts)
  # Without room for a copy the report shows no lines of it; the old file comes back all the same.
  failed=$staged.failed
  cp "$file" "$failed" 2>/dev/null || failed=/dev/null
  probe= # the old file may have none
  [ -z "$record" ] || rm -f "$record"
  if [ -f "$old" ]; then
    mv -f "$old" "$file"
    if [ -n "$was_active" ] && bring_into_use; then
      outcome="the old file is back and worker $worker serves it"
    else
      outcome="the old file is back; $(what_serves)"
    fi
  else
    rm -f "$file"
    if [ "$mode" = include ]; then
      [ -z "$was_active" ] || bring_into_use || true
    elif [ -z "$reload" ]; then
      systemctl stop "$unit" 2>/dev/null || true
    fi
    outcome="there was no file before, and there is none now; $(what_serves)"
  fi
  complain "HAProxy accepts the new file but does not serve with it; $outcome" "$report" "$failed"
}

# Runs at every exit: removes what is staged, the copy of a file that was not replaced, and unused keys.
clean_up() {
  [ -n "$swapped" ] || [ -z "$record" ] || rm -f "$record"
  [ -z "$staged" ] || rm -f "$staged" "$staged".*
  [ -z "$dry_run" ] || return 0
  for kept in "$certificates"*.pem; do
    grep -qsF " $kept" "$file" "$old" "$before" "$file".by-hand-* || rm -f "$kept"
  done
}

what_serves() {
  serving=$(worker_pid)
  if [ -z "$serving" ]; then echo "HAProxy does not answer${socket:+ on $socket}"; return; fi
  echo "HAProxy worker $serving serves as before"
}

# complain MESSAGE REPORT FILE: the message, HAProxy's own lines, and each line of FILE, or of another file,
# that they name.
complain() {
  {
    echo "error: $1"
    printf '%s\n' "$2" | grep -F '[ALERT]' | sed 's/^/  /' || true
    printf '%s\n' "$2" | sed -n 's/.*\[\(\/[^]:]*\):\([0-9][0-9]*\)\].*/\2 \1/p' | sort -u -k 1,1n -k 2 |
      while read -r number path; do
        case $path in
          "$file" | "$staged"*) sed -n "${number}s/^/  line $number: /p" "$3" ;;
          *) sed -n "${number}s|^|  $path, line $number: |p" "$path" ;;
        esac
      done
  } >&2
}

main "$@"
