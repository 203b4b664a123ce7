#!/bin/sh
# Why a push would fail on this machine: tools, service, directories, files, owner, ports.
# shellcheck disable=SC2154 # common.sh sets the options and paths

oldest_haproxy=2.4

# Prints a line for each finding, and changes nothing:
#   fault TEXT    what forbids a push, and the way out
#   edit HASH     an edit by hand: FILE as it is, or a copy that a push has kept as FILE.by-hand-HASH
#   edit gone     FILE was pushed and is gone
#   warning TEXT  what does not keep a push from serving, and the command that helps
#   version V     HAProxy's version
look_around() {
  read_unit
  check_tools
  check_service
  check_directories
  check_writable
  check_selinux
  if [ -f "$file" ] && [ -r "$file" ]; then
    check_owner "$owner"
    check_other_services
  fi
  check_files "$listen"
  check_firewall "$listen"
  report_edits
  # Without root a port below 1024 would be refused to the check, and not to HAProxy.
  if is_root && command -v perl >/dev/null; then check_ports "$listen"; fi
}

check_tools() {
  if command -v "$program" >/dev/null; then
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
  version=$("$program" -v 2>/dev/null | sed -n '1s/^HA-\{0,1\}Proxy version \([0-9][0-9.]*[0-9]\).*/\1/p')
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
  case $(unit_property LoadState) in
    loaded)
      check_program
      check_user
      check_boot
      check_reload
      ;;
    masked) fault "$unit.service is masked; unmask it: systemctl unmask $unit" ;;
    *)
      others=$(systemctl list-units --plain --no-legend --state=active 'haproxy*' 'hapee*' 2>/dev/null |
        awk '{sub(/\.service$/, "", $1); printf "%s%s", separator, $1; separator = " or "}')
      fault "systemd has no $unit.service; ${others:+set loadBalancer.unit (or --unit) to $others, }\
install your distribution's haproxy, or set loadBalancer.reloadCommand (or --reload)"
      ;;
  esac
}

# `haproxy -c` finds none of them missing; the new worker process would.
check_directories() {
  [ -d "$directory" ] || [ "$mode" = include ] ||
    fault "there is no directory $directory; create it, or set loadBalancer.configFile (or --file)"
  place=${probe:-/run/haproxy/istio-lab.sock}
  if [ "$mode" != include ]; then
    place=$socket
    [ -d /var/lib/haproxy ] ||
      fault "there is no directory /var/lib/haproxy, HAProxy's chroot; create it: mkdir /var/lib/haproxy"
    # A container has users of its own.
    [ -n "$reload" ] || id -u haproxy >/dev/null 2>&1 ||
      fault "there is no user haproxy; \
create it: useradd --system --user-group --home-dir /var/lib/haproxy --shell /usr/sbin/nologin haproxy"
  fi
  sockets=$(dirname "$place")
  [ -d "$sockets" ] || unit_makes "$sockets" ||
    fault "there is no directory $sockets for HAProxy's sockets; \
create it, now and at each boot: echo 'd $sockets 2775 haproxy haproxy -' >/etc/tmpfiles.d/istio-lab.conf && \
systemd-tmpfiles --create"
}

# A push replaces the file by a rename in its directory.
check_writable() {
  is_root && [ -d "$directory" ] || return 0
  [ -w "$directory" ] || fault "$directory is on a read-only file system; \
mount it read-write, or set loadBalancer.configFile (or --file) to a file elsewhere"
  [ ! -f "$file" ] || [ ! -w "$directory" ] || [ -w "$file" ] ||
    fault "$file cannot be changed; take its attribute away: chattr -i $file"
  if awk -v file="$file" '$5 == file {found = 1} END {exit !found}' /proc/self/mountinfo 2>/dev/null; then
    fault "$file is a mount of its own, which a push cannot replace; mount its directory instead: \
umount $file"
  fi
}

# True when the unit makes the directory each time it starts.
unit_makes() {
  case " $(unit_property RuntimeDirectory) " in
    *" ${1#/run/} "*) ;;
    *) return 1 ;;
  esac
}

# Where SELinux is enforced, HAProxy may connect to a few well-known ports only.
check_selinux() {
  [ -z "$reload" ] && [ "$(getenforce 2>/dev/null)" = Enforcing ] || return 0
  case $(getsebool haproxy_connect_any 2>/dev/null) in
    *off) fault "SELinux forbids HAProxy to connect to NodePorts; \
allow it: setsebool -P haproxy_connect_any on" ;;
  esac
}

# check_firewall ADDRESSES: what firewalld keeps from clients; the zone of another interface may have it open.
check_firewall() {
  [ "$(firewall-cmd --state 2>/dev/null)" = running ] || return 0
  set -f # `*:80` is an address
  for address in $1; do
    port=${address##*:}
    case $address in unix@* | 127.* | '[::1]':* | ::*) continue ;; esac
    case $port in 80) name=http ;; 443) name=https ;; *) name= ;; esac
    firewall-cmd --query-port="$port/tcp" >/dev/null 2>&1 ||
      { [ -n "$name" ] && firewall-cmd --query-service="$name" >/dev/null 2>&1; } ||
      warn "firewalld keeps clients from port $port; open it: \
firewall-cmd --permanent --add-port=$port/tcp && firewall-cmd --reload"
  done
  set +f
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
  [ -z "$(owner_of "$file")" ] || return 0
  if [ "$mode" = include ]; then
    fault "$file is not this project's; \
set loadBalancer.configFile (or --file) to a file that is not there yet"
    return
  fi
  [ -z "$mode" ] && is_first_push || return 0
  services=$(listeners "$file" | awk '{printf "%s%s %s (%s)", separator, $1, $2, $3; separator = ", "}')
  [ -z "$services" ] || fault "$file serves other clients already: $services; \
a push would replace the whole file. Set loadBalancer.mode (or --mode) to include to live beside them, \
or to file to replace the file (a destroy puts it back), or use another load balancer"
}

# check_files ADDRESSES: the unit reads this file, and no other one that listens on the same ports: a second
# listener would get a part of the connections.
check_files() {
  [ -n "$unit_paths" ] || return 0
  loaded=$(files_of "$unit_paths")
  if [ "$mode" = include ]; then check_include; else check_read; fi
  check_twice
  check_later_files
  twins=$(files_of "$unit_paths
$next_paths" | sort -u | grep -vxF "$(readlink -f "$file")" | while read -r other; do
    [ ! -f "$other" ] || listeners "$other" | while read -r section title address; do
      ! shares_port "$address" "$1" || printf ', %s: %s %s (%s)' "$other" "$section" "$title" "$address"
    done
  done)
  [ -z "$twins" ] || fault "$unit.service reads other files that listen on the same ports: ${twins#, }; \
remove that there, or set loadBalancer.httpPort and loadBalancer.httpsPort to other ports"
}

# The unit has to read the file, now and after a restart, which reads its settings again.
check_read() {
  next=$(files_of "$next_paths")
  if printf '%s\n' "$next" | grep -qxF "$(readlink -f "$file")"; then
    printf '%s\n' "$loaded" | grep -qxF "$(readlink -f "$file")" ||
      fault "$unit.service will read $file when it is started again; \
restart it, which closes the connections of its other sites once: systemctl restart $unit"
    return
  fi
  but=
  [ "$loaded" = "$next" ] || but=" when it is started again"
  fault "$unit.service does not read $file$but, but$(printf '%s\n' "$next" | sed 's/^/ /' | tr -d '\n'); \
set loadBalancer.configFile (or --file) to the file that it reads"
}

# The unit has to read the whole directory, now and after a restart, which reads its settings again.
check_include() {
  case $name in
    .* | *[!g] | *[!f]g | *[!c]fg | *[!.]cfg)
      fault "HAProxy reads no $name in a directory; \
set loadBalancer.configFile (or --file) to a name that ends in .cfg"
      ;;
  esac
  if reads_directory "$next_paths"; then
    reads_directory "$unit_paths" ||
      fault "$unit.service will read $directory when it is started again; \
restart it, which closes the connections of its other sites once: systemctl restart $unit"
    return
  fi
  known=$(printf '%s\n' "$next_paths" | while read -r path; do
    [ ! -d "$path" ] || printf ' or %s/%s' "${path%/}" "$name"
  done)
  if [ -n "$known" ]; then
    fault "$unit.service does not read $directory; set loadBalancer.configFile (or --file) to ${known# or }"
    return
  fi
  fault "$unit.service reads no directory, but$(printf '%s\n' "$next_paths" | sed 's/^/ /' | tr -d '\n'); \
let it read $directory too, with a restart that closes the connections of its other sites once: \
mkdir -p $directory && $(command_for_directory) && systemctl restart $unit"
}

# A unit may name a directory in its CFGDIR and once more in EXTRAOPTS. HAProxy refuses a second section of
# the same name, and would listen twice on a port.
check_twice() {
  for paths in "$unit_paths" "$next_paths"; do
    twice=$(files_of "$paths" | awk 'seen[$0]++ {print; exit}')
    [ -z "$twice" ] || break
  done
  [ -n "$twice" ] || return 0
  place=$(printf '%s\n' "${unit_variable:-ExecStart}" | sed 's/^\([^ ]*\) \([^ ]*\).*/\1 in \2/;q')
  fault "$unit.service reads $twice twice; take its path out of one of the unit's options ($place), \
and restart it: systemctl restart $unit"
}

# HAProxy reads all files as one: sections of a later file without defaults would take those of this file. The
# first push of a haproxy.cfg would change them.
check_later_files() {
  [ "$mode" = include ] || is_first_push || return 0
  later=$(printf '%s\n' "$loaded" | awk -v file="$file" 'found; $0 == file {found = 1}')
  heirs=$(printf '%s\n' "$later" | while read -r other; do
    [ ! -f "$other" ] || awk -v file="$other" '
      $1 == "defaults" {print "end"; exit}
      $1 ~ /^(frontend|backend|listen)$/ && $3 != "from" {printf ", %s: %s %s\n", file, $1, $2}' "$other"
  done | sed '/^end$/,$d' | tr -d '\n')
  [ -n "$heirs" ] || return 0
  heirs="$file is read before sections that have no defaults of their own, and would take those of this \
file: ${heirs#, }"
  case $mode in
    include) fault "$heirs; \
set loadBalancer.configFile (or --file) to a name that comes later in the alphabet" ;;
    file) warn "$heirs" ;;
    *) fault "$heirs; set loadBalancer.mode (or --mode) to include to live beside them, \
or to file if they may" ;;
  esac
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
    sharer=$(sharer_of "$address")
    [ -z "$sharer" ] || fault "$sharer listens on $address too, and gets a part of the connections; \
stop it, or set loadBalancer.httpPort and loadBalancer.httpsPort to other ports"
    if is_active && listens "$address"; then continue; fi
    ! listens_otherwise "$address" || fault "$unit.service listens on the port of $address already, by \
another file; set loadBalancer.httpPort and loadBalancer.httpsPort to other ports"
    host=${address%:*}
    case $host in '*') host=0.0.0.0 ;; '['*) host=${host#?} && host=${host%?} ;; esac
    why=$(try_to_bind "$host" "${address##*:}")
    [ -z "$why" ] || refused="$refused, $address ($why$(holder "${address##*:}"))"
  done
  set +f
  [ -z "$refused" ] || fault "HAProxy could not listen on ${refused#, }"
}
