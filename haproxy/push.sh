#!/bin/sh
# Puts a new haproxy.cfg into use without dropping a request, or leaves the old one in use.
#
#   sh push.sh [--file FILE] [--probe URL] [--socket SOCKET] [--reload COMMAND] [--dry-run] < haproxy.cfg
#
#   --file     the file HAProxy reads                       /etc/haproxy/haproxy.cfg
#   --probe    where a worker of ours answers with its pid  http://127.0.0.1:80/.istio-lab/worker
#   --socket   HAProxy's admin socket, as in the new file   /run/haproxy/admin.sock
#   --reload   starts or reloads HAProxy                    systemctl, unit haproxy
#   --dry-run  says what would be done; changes nothing
#
# By hand, from another machine:
#   ssh lb 'cat > push.sh' < push.sh && ssh lb sh push.sh < haproxy.cfg
#
# Expects: Linux, root or `sudo -n`, coreutils, awk, flock, haproxy, one of perl, socat, python3, and one of curl, perl.
# With perl or python3 each address that the new file adds is tried before it is used; with ss the message says who holds it.
# The first line of a file of this project is `# istio-lab owner=OWNER sha256=HASH`, HASH being that of the other lines.
# Certificate chain and key for its `bind … crt FILE.tls-HASH.pem` may stand in front of it: cat tls.pem haproxy.cfg | …
#
# Files beside FILE:
#   FILE.before-istio-lab       what was there before the first push, for restore.sh
#   FILE.before-istio-lab-none  there was nothing before the first push
#   FILE.by-hand-HASH           an edit by hand that a push replaced
#   FILE.tls-HASH.pem           chain and key that one of these files names, for root alone
#   .NAME.istio-lab-old         the file that served before a push that is not finished
#   .NAME.istio-lab-new.*       a file that is being staged, the key in it for root alone; the next push or removal
#                               takes away what one that was killed has left
#
# Exit status: 0 the new file serves (or did already), 1 the old state is unchanged or back, 2 wrong usage.
set -eu
umask 022
export LC_ALL=C

file=/etc/haproxy/haproxy.cfg
probe=http://127.0.0.1:80/.istio-lab/worker
socket=/run/haproxy/admin.sock
reload=
dry_run=
patience=10 # seconds for a new worker to answer

main() {
  parse_arguments "$@"
  become_root "$@"
  need_tools
  find_paths
  take_lock
  clean_up_after_the_dead
  stage
  stage_certificate
  check_staged
  refuse_another_owner
  check_ports
  if [ -f "$file" ] && cmp -s "$file" "$staged" && [ ! -e "$old" ]; then
    unchanged
    return
  fi
  if [ -n "$dry_run" ]; then
    say "dry run: would replace $file and reload HAProxy"
    if [ -f "$file" ]; then diff -u "$file" "$staged" || true; fi
    return
  fi
  keep_what_was_there
  commit
  if bring_into_use; then
    rm -f "$old"
    say "pushed: $file, HAProxy worker $worker serves it"
  else
    roll_back
    exit 1
  fi
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --file | --probe | --socket | --reload)
        [ $# -ge 2 ] || usage "$1 needs a value"
        case $1 in
          --file) file=$2 ;;
          --probe) probe=$2 ;;
          --socket) socket=$2 ;;
          --reload) reload=$2 ;;
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

need_tools() {
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  command -v haproxy >/dev/null || fail "no haproxy on this machine; install it first (Debian: apt-get install haproxy)"
  command -v flock >/dev/null || fail "no flock on this machine; install util-linux"
  command -v perl >/dev/null || command -v socat >/dev/null || command -v python3 >/dev/null ||
    fail "nothing on this machine can ask HAProxy's admin socket; install one of perl, socat, python3"
  command -v curl >/dev/null || command -v perl >/dev/null || fail "nothing on this machine can ask HAProxy a request; install curl"
  [ -z "$reload" ] || return 0
  [ -d /run/systemd/system ] ||
    fail "systemd does not run this machine; set loadBalancer.reloadCommand (or --reload) to a command that starts or reloads HAProxy"
  case $(systemctl show --property=LoadState --value haproxy 2>/dev/null) in
    loaded) ;;
    masked) fail "haproxy.service is masked; nothing was changed. Unmask it: systemctl unmask haproxy" ;;
    *) fail "systemd knows no haproxy.service; install Debian's haproxy, or set loadBalancer.reloadCommand (or --reload)" ;;
  esac
}

# A symbolic link stays one: the file it points to is replaced.
find_paths() {
  certificates=$file.tls-
  if [ -L "$file" ]; then file=$(readlink -f "$file"); fi
  directory=$(dirname "$file")
  name=$(basename "$file")
  before=$file.before-istio-lab
  old=$directory/.$name.istio-lab-old
  staged=
  worker=
  [ -d "$directory" ] || fail "there is no directory $directory; nothing was changed"
}

# The lock is the directory itself, so that none is left behind.
take_lock() {
  exec 9<"$directory"
  flock -w 60 9 || fail "another push to $directory has been at work for 60 s; nothing was changed"
}

clean_up_after_the_dead() {
  [ -n "$dry_run" ] || rm -f "$directory/.$name.istio-lab-new."*
}

stage() {
  trap leave EXIT
  # PIPE: whoever hung up hears no complaint, and the staged file must not stay.
  trap 'exit 1' HUP INT TERM PIPE
  if [ -n "$dry_run" ]; then
    staged=$(mktemp)
  else
    staged=$(mktemp "$directory/.$name.istio-lab-new.XXXXXX") || fail "cannot write to $directory; nothing was changed"
  fi
  cat >"$staged" || no_room
  split_certificate
  check_hash "$staged" || fail "the new file did not arrive whole, or is not one of this project's; nothing was changed"
  if [ -f "$file" ]; then
    chown --reference="$file" "$staged"
    chmod --reference="$file" "$staged"
  else
    chmod 0644 "$staged"
  fi
  [ -n "$dry_run" ] || sync "$staged"
}

# The staged file holds the key until here, and is readable by root alone until then.
split_certificate() {
  pem=$staged.pem
  (umask 077 && sed '/^# istio-lab owner=/,$d' "$staged" >"$pem") || no_room
  if [ ! -s "$pem" ]; then
    rm -f "$pem"
    return
  fi
  sed -n '/^# istio-lab owner=/,$p' "$staged" >"$staged.part" || no_room
  mv "$staged.part" "$staged"
}

no_room() {
  fail "cannot stage the new file in $directory ($(df -P "$directory" | awk 'NR==2 {print $4}') KiB free); nothing was changed"
}

# Its name holds its hash, so a push overwrites nothing that an older file needs, and the one file decides what is used.
stage_certificate() {
  certificate=$(sed -n 's/^ *bind .* crt \([^ ]*\.tls-[0-9a-f]*\.pem\)\( .*\)\{0,1\}$/\1/p' "$staged")
  checked=$staged
  [ -n "$certificate" ] && [ -s "$pem" ] || return 0
  case $certificate in "$certificates"*) ;; *) fail "the new file wants its certificate in $certificate, not beside $file; nothing was changed" ;; esac
  if [ -n "$dry_run" ]; then
    checked=$staged.checked
    sed "s|$certificate|$pem|" "$staged" >"$checked"
  elif ! cmp -s "$pem" "$certificate"; then
    sync "$pem"
    mv -f "$pem" "$certificate"
  fi
}

# HAProxy reads a file by its path: the very file that will be moved into place.
check_staged() {
  if report=$(haproxy -c -f "$checked" 2>&1 9<&-); then return; fi
  complain "HAProxy rejects the new file; nothing was changed, $(what_serves)" "$report" "$staged"
  exit 1
}

refuse_another_owner() {
  [ -f "$file" ] || return 0
  theirs=$(owner "$file")
  mine=$(owner "$staged")
  if [ -n "$theirs" ] && [ "$theirs" != "$mine" ]; then
    fail "$file belongs to $theirs, not to $mine; nothing was changed. Destroy that stack first, or use another load balancer"
  fi
}

# A new worker that cannot listen has the old one stop listening, for the seconds that it goes on trying. So each address that
# is new is tried before, in HAProxy's way, without taking connections.
check_ports() {
  refused=$(sed -n 's/^ *bind \([^ ]*\).*/\1/p' "$staged" | sort -u | while read -r address; do
    if is_active && listens "$address"; then continue; fi
    why=$(try_to_bind "$address")
    [ -z "$why" ] || printf ', %s (%s%s)' "$address" "$why" "$(holder "${address##*:}")"
  done)
  [ -z "$refused" ] || fail "HAProxy could not listen on ${refused#, }; nothing was changed, $(what_serves)"
}

listens() {
  [ -f "$file" ] && awk -v address="$1" '$1 == "bind" && $2 == address {found = 1} END {exit !found}' "$file"
}

# Prints why the kernel would refuse it; nothing where it would not, or where nobody can try.
try_to_bind() {
  address=${1%:*}
  case $address in
    '*') address=0.0.0.0 ;;
    '['*) address=$(printf %s "$address" | tr -d '[]') ;;
  esac
  if command -v perl >/dev/null; then
    perl -MSocket=:DEFAULT,inet_pton,pack_sockaddr_in6 -e '
      my ($address, $port) = @ARGV;
      my $six = $address =~ /:/;
      socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_STREAM, 0) or exit;
      setsockopt($s, SOL_SOCKET, $_, 1) for SO_REUSEADDR, SO_REUSEPORT;
      my $packed = inet_pton($six ? AF_INET6 : AF_INET, $address) or exit;
      bind($s, $six ? pack_sockaddr_in6($port, $packed) : pack_sockaddr_in($port, $packed)) or print $!;' "$address" "${1##*:}"
  elif command -v python3 >/dev/null; then
    python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
for option in socket.SO_REUSEADDR, socket.SO_REUSEPORT: s.setsockopt(socket.SOL_SOCKET, option, 1)
try: s.bind((sys.argv[1], int(sys.argv[2])))
except OSError as error: print(os.strerror(error.errno), end="")' "$address" "${1##*:}"
  fi
}

# Whose the port is, where `ss` is there to tell.
holder() {
  ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)".*/, by \1/p' | head -n 1
}

unchanged() {
  if is_active; then
    say "unchanged: $file, no reload"
  elif [ -n "$dry_run" ]; then
    say "dry run: would start HAProxy; $file is as it should be"
  elif bring_into_use; then
    say "unchanged: $file; HAProxy was stopped, worker $worker serves now"
  else
    complain "$file is as it should be, but HAProxy does not come up" "$(alerts)" "$file"
    exit 1
  fi
}

# The first push records what it found; a record that this run has made goes again when the push is rolled back.
keep_what_was_there() {
  record=
  if [ ! -f "$file" ]; then
    if [ ! -e "$before" ] && [ ! -e "$before-none" ]; then record=$before-none && : >"$record"; fi
  elif [ -z "$(owner "$file")" ] && [ ! -e "$before" ] && [ ! -e "$before-none" ]; then
    record=$before
    copy "$file" "$record"
    say "kept: $record, for the day this is undone"
  elif ! check_hash "$file"; then
    by_hand=$file.by-hand-$(sha256sum <"$file" | cut -c 1-12)
    copy "$file" "$by_hand"
    say "edited by hand: the edit is kept in $by_hand"
  elif [ ! -e "$before" ]; then
    : >"$before-none"
  fi
}

# From here on the work is finished one way or the other, whoever hangs up.
commit() {
  trap '' HUP INT TERM PIPE
  if [ -f "$file" ] && [ ! -e "$old" ]; then copy "$file" "$old"; fi
  was_active=
  if is_active; then was_active=yes; fi
  mv -f "$staged" "$file"
  sync "$directory"
}

# Copies with owner, mode and times; whole or not at all.
copy() {
  rm -f "$2.part"
  if cp -p "$1" "$2.part" && sync "$2.part" && mv -f "$2.part" "$2"; then return; fi
  rm -f "$2.part"
  fail "cannot keep a copy of $1 in $directory; nothing was changed"
}

# Reloads or starts HAProxy and waits for a worker that was not there before and that answers.
bring_into_use() {
  before_pid=$(worker_pid)
  mark_log
  if [ -n "$reload" ]; then
    sh -c "$reload" </dev/null >/dev/null 2>&1 9<&- || return 1
  elif is_active; then
    systemctl reload haproxy 2>/dev/null || return 1
  else
    systemctl reset-failed haproxy 2>/dev/null || true
    systemctl start haproxy 2>/dev/null || return 1
  fi
  deadline=$(($(date +%s) + patience))
  tries=0
  while [ "$(date +%s)" -lt "$deadline" ]; do
    worker=$(worker_pid)
    if [ -n "$worker" ] && [ "$worker" != "$before_pid" ] && answers; then return 0; fi
    tries=$((tries + 1))
    if [ $((tries % 10)) -eq 0 ] && alerts | grep -q 'Exiting'; then return 1; fi
    sleep 0.1
  done
  return 1
}

roll_back() {
  report=$(alerts)
  failed=$(mktemp)
  cp "$file" "$failed"
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
    if [ -z "$reload" ]; then systemctl stop haproxy 2>/dev/null || true; fi
    outcome="there was no file before, and there is none now; $(what_serves)"
  fi
  complain "HAProxy accepts the new file but does not serve with it; $outcome" "$report" "$failed"
  rm -f "$failed"
}

# Whatever way this ends: nothing staged stays, and no key that no file needs.
leave() {
  [ -z "$staged" ] || rm -f "$staged" "$staged".*
  [ -z "$dry_run" ] || return 0
  for kept in "$certificates"*.pem; do
    grep -qsF " $kept" "$file" "$old" "$before" "$file".by-hand-* || rm -f "$kept"
  done
}

# ---- what is ----

is_active() {
  if [ -n "$reload" ]; then [ -n "$(worker_pid)" ]; else systemctl is-active --quiet haproxy; fi
}

what_serves() {
  serving=$(worker_pid)
  if [ -n "$serving" ]; then echo "HAProxy worker $serving serves as before"; else echo "HAProxy does not answer on $socket"; fi
}

worker_pid() {
  ask_socket "show info" 2>/dev/null | awk '$1 == "Pid:" {print $2; exit}'
}

ask_socket() {
  if command -v perl >/dev/null; then
    perl -MIO::Socket::UNIX -e '
      alarm 3;
      my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
      print $s "$ARGV[1]\n"; print while <$s>;' "$socket" "$1"
  elif command -v socat >/dev/null; then
    echo "$1" | socat -T 3 - "UNIX-CONNECT:$socket"
  else
    python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(3); s.connect(sys.argv[1]); s.sendall((sys.argv[2] + "\n").encode())
while (data := s.recv(65536)): sys.stdout.write(data.decode())' "$socket" "$1"
  fi
}

# A file of ours lets HAProxy answer by itself, with the pid of the worker that does. Any answer will do where the file
# says nothing of the path, as the one from before the first push.
answers() {
  answer=$(ask_http) || return 1
  ! grep -qF "{ path /${probe#*://*/} }" "$file" || [ "$answer" = "$worker" ]
}

ask_http() {
  if command -v curl >/dev/null; then
    curl --silent --noproxy '*' --insecure --max-time 3 "$probe"
  else
    perl -MIO::Socket::INET -e '
      alarm 3;
      my ($host, $path) = $ARGV[0] =~ m{^http://([^/]+)(/.*)} or exit 1;
      my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => 80) or exit 1;
      print $s "GET $path HTTP/1.0\r\nHost: $host\r\n\r\n";
      local $/; <$s> =~ m{^HTTP/.*?\r\n\r\n(.*)}s or exit 1;
      print $1;' "$probe"
  fi
}

owner() {
  sed -n '1s/^# istio-lab owner=\([^ ]*\) sha256=[0-9a-f]\{64\}$/\1/p' "$1"
}

check_hash() {
  hash=$(sed -n '1s/^# istio-lab owner=[^ ]* sha256=\([0-9a-f]\{64\}\)$/\1/p' "$1")
  [ -n "$hash" ] && [ "$(tail -n +2 "$1" | sha256sum | cut -c 1-64)" = "$hash" ]
}

# ---- what is said ----

# Remembers where the log ends, so that the alerts told are those of this push.
mark_log() {
  log_end=$(journalctl --unit=haproxy --lines=0 --show-cursor --quiet 2>/dev/null | sed -n 's/^-- cursor: //p') || log_end=
}

alerts() {
  journalctl --unit=haproxy --output=cat --no-pager ${log_end:+"--after-cursor=$log_end"} 2>/dev/null | grep -F '[ALERT]' | tail -n 20 || true
}

# complain MESSAGE REPORT FILE: the message, HAProxy's own lines, and each line of FILE that they name.
complain() {
  {
    echo "error: $1"
    printf '%s\n' "$2" | grep -F '[ALERT]' | sed 's/^/  /' || true
    printf '%s\n' "$2" | sed -n 's/.*\[\/[^]:]*:\([0-9][0-9]*\)\].*/\1/p' | sort -nu | while read -r number; do
      sed -n "${number}s/^/  line $number: /p" "$3"
    done
  } >&2
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
  echo "usage: sh push.sh [--file FILE] [--probe URL] [--socket SOCKET] [--reload COMMAND] [--dry-run] < haproxy.cfg" >&2
  exit 2
}

main "$@"
