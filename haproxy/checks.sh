#!/bin/sh
# Why a push would fail on this machine: tools, service, directories, owner, ports; for `push.sh --look` too.
# shellcheck disable=SC2154 # common.sh sets the options and paths

oldest_haproxy=2.4

# Prints a line for each finding, and changes nothing:
#   fault TEXT    what forbids a push, and the way out
#   edit HASH     an edit by hand: FILE as it is, or a copy that a push has kept as FILE.by-hand-HASH
#   edit gone     FILE was pushed and is gone
#   version V     HAProxy's version
look_around() {
  check_tools
  check_service
  check_directories
  if [ -f "$file" ] && [ -r "$file" ]; then
    check_owner "$owner"
    check_other_services
  fi
  check_loaded_files "$listen"
  report_edits
  # Without root a port below 1024 would be refused to the check, and not to HAProxy.
  if is_root && command -v perl >/dev/null; then check_ports "$listen"; fi
}

check_tools() {
  if command -v haproxy >/dev/null; then
    check_version
  else
    fault "there is no haproxy; install it (Debian: apt-get install haproxy)"
  fi
  command -v flock >/dev/null || fault "there is no flock; install util-linux"
  perl -MIO::Socket::UNIX -e 1 2>/dev/null ||
    fault "there is no Perl with IO::Socket; \
install it (Debian: apt-get install perl-base, Fedora: dnf install perl-IO)"
}

check_version() {
  version=$(haproxy -v 2>/dev/null | sed -n '1s/^HA-\{0,1\}Proxy version \([0-9][0-9.]*[0-9]\).*/\1/p')
  [ -z "$look" ] || say "version ${version:-unknown}"
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  [ -n "$version" ] || return 0
  if [ "$major" -lt "${oldest_haproxy%.*}" ] ||
    { [ "$major" -eq "${oldest_haproxy%.*}" ] && [ "$minor" -lt "${oldest_haproxy#*.}" ]; }; then
    fault "HAProxy is $version, and the configuration needs $oldest_haproxy or later: this one has neither \
idle-close-on-response, without which a reload fails requests, nor named defaults; \
upgrade it (Debian 12 and Ubuntu 22.04 bring a later one)"
  fi
}

check_service() {
  [ -z "$reload" ] || return 0
  if [ ! -d /run/systemd/system ]; then
    fault "systemd does not run there; \
set loadBalancer.reloadCommand (or --reload) to a command that starts or reloads HAProxy"
    return
  fi
  case $(systemctl show --property=LoadState --value haproxy 2>/dev/null) in
    loaded) ;;
    masked) fault "haproxy.service is masked; unmask it: systemctl unmask haproxy" ;;
    *) fault "systemd has no haproxy.service; \
install your distribution's haproxy, or set loadBalancer.reloadCommand (or --reload)" ;;
  esac
}

# `haproxy -c` finds none of them missing; the new worker process would.
check_directories() {
  [ -d "$directory" ] ||
    fault "there is no directory $directory; create it, or set loadBalancer.configFile (or --file)"
  [ -d /var/lib/haproxy ] ||
    fault "there is no directory /var/lib/haproxy, HAProxy's chroot; create it: mkdir /var/lib/haproxy"
  sockets=$(dirname "$socket")
  [ -d "$sockets" ] || unit_makes "$sockets" ||
    fault "there is no directory $sockets for HAProxy's admin socket; \
create it, now and at each boot: echo 'd $sockets 2775 haproxy haproxy -' >/etc/tmpfiles.d/istio-lab.conf && \
systemd-tmpfiles --create"
}

# True when haproxy.service makes the directory each time it starts.
unit_makes() {
  case " $(systemctl show --property=RuntimeDirectory --value haproxy 2>/dev/null) " in
    *" ${1#/run/} "*) ;;
    *) return 1 ;;
  esac
}

# check_owner OWNER: the file may be pushed by the one in its first line only.
check_owner() {
  theirs=$(owner_of "$file")
  if [ -n "$theirs" ] && [ "$theirs" != "$1" ]; then
    fault "$file belongs to $theirs, not to $1; destroy that stack first, or use another load balancer"
  fi
}

# Without --mode file, a first push replaces no file that serves clients.
check_other_services() {
  if [ -n "$mode$(owner_of "$file")" ] || [ -e "$before" ] || [ -e "$before-none" ]; then return; fi
  services=$(listeners "$file" | awk '{printf "%s%s %s (%s)", separator, $1, $2, $3; separator = ", "}')
  [ -z "$services" ] || fault "$file serves other clients already: $services; a push would replace the whole file. \
Set loadBalancer.mode (or --mode) to file if it may (a destroy puts it back), or use another load balancer"
}

# listeners FILE: `SECTION NAME ADDRESS` for each address that it listens on.
listeners() {
  awk '
    $1 == "frontend" || $1 == "listen" {section = $1 " " $2; if ($3 ~ /:[0-9]/) print section, $3}
    $1 == "bind" {count = split($2, addresses, ","); for (i = 1; i <= count; i++) print section, addresses[i]}
  ' "$1"
}

# check_loaded_files ADDRESSES: haproxy.service reads this file, and no other one that listens on the same ports.
# A second listener would get a part of the connections.
check_loaded_files() {
  if [ -n "$reload" ] || ! is_active; then return; fi
  loaded=$(loaded_files)
  [ -n "$loaded" ] || return 0
  ours=$(readlink -f "$file")
  if ! echo "$loaded" | grep -qxF "$ours"; then
    fault "haproxy.service does not read $file, but$(echo "$loaded" | sed 's/^/ /' | tr -d '\n'); \
set loadBalancer.configFile (or --file) to the file that it reads"
  fi
  ports=" $(set -f && for address in $1; do printf '%s ' "${address##*:}"; done)"
  twins=$(echo "$loaded" | grep -vxF "$ours" | while read -r other; do
    listeners "$other" | while read -r section title address; do
      case $ports in
        *" ${address##*:} "*) printf ', %s: %s %s (%s)' "$other" "$section" "$title" "$address" ;;
      esac
    done
  done)
  [ -z "$twins" ] ||
    fault "haproxy.service reads other files that listen on the same ports; remove it there: ${twins#, }"
}

# The files that the running service reads, from its own command line, one a line.
loaded_files() {
  pid=$(systemctl show --property=MainPID --value haproxy 2>/dev/null) || return 0
  [ "${pid:-0}" -gt 0 ] || return 0
  tr '\0' '\n' <"/proc/$pid/cmdline" | awk 'previous == "-f" {print} {previous = $0}' | while read -r path; do
    if [ -d "$path" ]; then
      for each in "$path"/*.cfg; do [ ! -e "$each" ] || readlink -f "$each"; done
    else
      readlink -f "$path"
    fi
  done
}

report_edits() {
  for kept in "$file".by-hand-*; do
    [ ! -e "$kept" ] || say "edit ${kept##*-}"
  done
  # The file from before the first push is no edit.
  [ -e "$before" ] || [ -e "$before-none" ] || return 0
  if [ ! -e "$file" ]; then
    say "edit gone"
  elif [ -r "$file" ] && ! is_intact "$file"; then
    edited=$(by_hand_name)
    say "edit ${edited##*-}"
  fi
}

# check_ports ADDRESSES: a new worker process that cannot listen makes the old one stop listening, for the
# seconds that it goes on trying. So each address that is new is tried before.
check_ports() {
  refused=
  set -f # `*:80` is an address
  for address in $1; do
    case $address in unix@*) continue ;; esac
    if is_active && listens "$address"; then continue; fi
    host=${address%:*}
    case $host in '*') host=0.0.0.0 ;; '['*) host=${host#?} && host=${host%?} ;; esac
    why=$(try_to_bind "$host" "${address##*:}")
    [ -z "$why" ] || refused="$refused, $address ($why$(holder "${address##*:}"))"
  done
  set +f
  [ -z "$refused" ] || fault "HAProxy could not listen on ${refused#, }"
}

# True when the file in use has the address on a `bind` line.
listens() {
  [ -f "$file" ] && awk -v address="$1" '$1 == "bind" && $2 == address {found = 1} END {exit !found}' "$file"
}

# holder PORT: the process that listens there, where `ss` can say it.
holder() {
  ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)".*/, by \1/p' | head -n 1
}

is_active() {
  if [ -n "$reload" ]; then [ -n "$(worker_pid)" ]; else systemctl is-active --quiet haproxy; fi
}

worker_pid() {
  ask_socket "show info" 2>/dev/null | awk '$1 == "Pid:" {print $2; exit}'
}
