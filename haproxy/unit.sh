#!/bin/sh
# HAProxy as systemd runs it: its program, the files that it reads, its worker process, its log.
# shellcheck disable=SC2154 # common.sh sets the options and paths

# What systemd and the running process say of the unit.
unit_report=
# The HAProxy that checks and serves; read_unit finds the one that the unit runs.
program=haproxy
# What the unit reads, one path a line, as the running process has it (or as the next start will).
unit_paths=
# The same as the next start will have it.
next_paths=
# Words of the unit's command line that matter to a check, and its environment; one a line.
unit_options=
unit_environment=
# Where further options go, e.g. `EXTRAOPTS /etc/default/haproxy -S /run/haproxy-master.sock`.
unit_variable=

# Without systemd nothing is known: files are then checked one by one.
# shellcheck disable=SC2034 # checks.sh has use for all of it
read_unit() {
  [ -z "$reload" ] || return 0
  main_pid=$(unit_property MainPID)
  unit_report=$(
    for each in ExecStart Environment EnvironmentFiles; do systemctl show --property=$each "$unit"; done \
      2>/dev/null | read_command_line "${main_pid:-0}" 2>/dev/null
  ) || return 0
  unit_paths=$(unit_lines path)
  next_paths=$(unit_lines next)
  unit_options=$(unit_lines option)
  unit_environment=$(unit_lines environment)
  unit_variable=$(unit_lines variable)
  found=$(unit_lines program)
  [ ! -x "$found" ] || program=$found
  [ "$mode" != include ] || socket=$(socket_of_others)
}

unit_lines() {
  printf '%s\n' "$unit_report" | sed -n "s/^$1 //p"
}

unit_property() {
  systemctl show --property="$1" --value "$unit" 2>/dev/null || true
}

# A file with `global` of its own needs root for chroot, ports and keys; HAProxy goes on as user haproxy.
check_user() {
  case $(unit_property User) in '' | root | 0) return ;; esac
  [ "$mode" = include ] || fault "$unit.service starts HAProxy as user $(unit_property User), \
which cannot enter the chroot of haproxy.cfg; let it start as root (systemctl edit $unit: \
User=root under [Service]), or set loadBalancer.mode (or --mode) to include"
}

# After a power cut the site would stay away.
check_boot() {
  case $(unit_property UnitFileState) in
    disabled | linked | *-runtime) warn "$unit.service does not start at boot; \
enable it: systemctl enable $unit" ;;
  esac
}

# A unit may run a container engine or a wrapper, whose files are not this machine's.
check_program() {
  other=$(unit_lines other)
  [ -z "$other" ] || fault "$unit.service runs $other, not HAProxy itself; set loadBalancer.configFile \
to the file that \
HAProxy gets, and loadBalancer.reloadCommand to a command that reloads it"
}

# files_of PATHS: the files, in the order in which HAProxy reads them. $file is among those of its directory.
files_of() {
  printf '%s\n' "$1" | while read -r path; do
    if [ -d "$path" ]; then
      path=$(readlink -f "$path")
      {
        for each in "$path"/*.cfg; do [ ! -f "$each" ] || echo "$each"; done
        [ "$path" != "$directory" ] || [ "$mode" != include ] || echo "$file"
      } | sort -u | while read -r each; do readlink -f "$each"; done
    elif [ -n "$path" ]; then
      readlink -f "$path" || echo "$path"
    fi
  done
}

# reads_directory PATHS: true when $file's directory is one of them.
reads_directory() {
  printf '%s\n' "$1" | while read -r path; do [ ! -d "$path" ] || readlink -f "$path"; done |
    grep -qxF "$directory"
}

# The distribution's way to further options, or an override of the unit.
command_for_directory() {
  if [ -n "$unit_variable" ]; then
    printf '%s\n' "$unit_variable" | head -n 1 | {
      read -r variable settings value
      echo "echo '$variable=\"${value:+$value }-f $directory\"' >>$settings"
    }
  else
    echo "systemctl edit $unit (ExecStart= with -f $directory)"
  fi
}

# accepts [STAGED]: checks all that the unit reads, with STAGED in the place of $file, or without $file. What
# HAProxy prints is in $report.
# shellcheck disable=SC2034 # the scripts print it
accepts() {
  paths=$(files_of "$unit_paths")
  # A service that reads other files has been reported already.
  printf '%s\n' "$paths" | grep -qxF "$file" || paths=$file
  set -f
  IFS='
'
  words=$unit_options
  for each in $paths; do
    if [ "$each" = "$file" ]; then each=${1-}; fi
    [ -z "$each" ] || words="$words${words:+$IFS}-f$IFS$each"
  done
  # shellcheck disable=SC2086 # one word a line
  report=$(env $unit_environment "$program" -c $words 2>&1 9<&-) && accepted=yes || accepted=
  unset IFS
  set +f
  [ -n "$accepted" ]
}

# True when the unit reads files besides $file.
reads_others() {
  files_of "$unit_paths" | grep -qvxF "$file"
}

# True when HAProxy refuses the other files for another reason than that they listen nowhere.
refuses_others() {
  reads_others || return 1
  ! accepts || return 1
  case $report in *"no listener"*) return 1 ;; esac
}

# listeners FILE: `SECTION NAME ADDRESS` for each address that it listens on.
listeners() {
  awk '
    {gsub(/"/, "")}
    $1 == "frontend" || $1 == "listen" {section = $1 " " $2; if ($3 ~ /:[0-9]/) print section, $3}
    $1 == "bind" {count = split($2, addresses, ","); for (i = 1; i <= count; i++) print section, addresses[i]}
  ' "$1"
}

# True when the file in use has the address on a `bind` line.
listens() {
  [ -f "$file" ] && awk -v address="$1" '$1 == "bind" && $2 == address {found = 1} END {exit !found}' "$file"
}

# holder PORT: the process that listens there, where `ss` can say it.
holder() {
  ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)".*/, by \1/p' | head -n 1
}

# The admin socket of the files that are there, for a file that has none of its own.
socket_of_others() {
  files_of "$unit_paths" | grep -vxF "$file" | while read -r other; do
    awk '$1 == "stats" && $2 == "socket" && sub(/^(unix@)?\//, "/", $3) {print $3}' "$other"
  done 2>/dev/null | head -n 1
}

# Where a worker process of FILE answers with its pid.
worker_socket_of() {
  sed -n 's/^ *bind unix@\([^ ]*\) .*/\1/p' "$1" | head -n 1
}

# shares_port ADDRESS ADDRESSES: true when its port, or a range such as 8000-8010, has the port of an address.
shares_port() {
  case ${1##*:} in '' | *[!0-9-]*) return 1 ;; esac
  first_port=${1##*:}
  last_port=${first_port#*-}
  first_port=${first_port%-*}
  shared=1
  set -f # `*:80` is an address
  for each in $2; do
    case $each in unix@*) continue ;; esac
    if [ "${each##*:}" -ge "$first_port" ] && [ "${each##*:}" -le "$last_port" ]; then shared=0; fi
  done
  set +f
  return "$shared"
}

# sharer_of ADDRESS: another HAProxy on the same port, e.g. of another unit. HAProxy's sockets have
# SO_REUSEPORT: a new one binds without an error, and the kernel divides the connections between both.
sharer_of() {
  [ -z "$reload" ] || return 0
  main_pid=$(unit_property MainPID)
  ss -Hltnp "sport = :${1##*:}" 2>/dev/null | while read -r _ _ _ local _ users; do
    case $local in
      "$1" | '*':* | 0.0.0.0:*) ;;
      *) case ${1%:*} in '*' | '::') ;; *) continue ;; esac ;;
    esac
    printf '%s\n' "$users" | grep -o '"haproxy[^"]*",pid=[0-9]*' | sed 's/.*=//'
  done | sort -u | while read -r pid; do
    parent=$(awk '$1 == "PPid:" {print $2}' "/proc/$pid/status" 2>/dev/null) || continue
    if [ "$pid" = "$main_pid" ] || [ "$parent" = "$main_pid" ]; then continue; fi
    of=$(sed -n 's/.*\/\([^/]*\)\.service.*/\1/p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
    [ "$of" = "$unit" ] || echo "HAProxy with process id $pid${of:+, of $of.service,}"
  done | head -n 1
}

# True when the unit listens on the port of an address before the first push: another file has it in words
# that no check reads, e.g. a variable. HAProxy would bind it a second time without an error.
listens_otherwise() {
  [ "$mode" = include ] && [ ! -e "$file" ] && [ ! -e "$before-none" ] && is_active || return 1
  main_pid=$(unit_property MainPID)
  ss -Hltnp "sport = :${1##*:}" 2>/dev/null | grep -o 'pid=[0-9]*' | sed 's/.*=//' | sort -u |
    while read -r pid; do
      [ "$pid" != "$main_pid" ] || echo "$pid"
      ! grep -qs "^PPid:[[:space:]]*$main_pid\$" "/proc/$pid/status" || echo "$pid"
    done | grep -q .
}

is_active() {
  if [ -n "$reload" ]; then [ -n "$(worker_pid)" ]; else systemctl is-active --quiet "$unit" 2>/dev/null; fi
}

# Without an admin socket: the youngest child of the unit's main process, or that process itself, which serves
# where the unit starts HAProxy without a master.
worker_pid() {
  worker_found=
  [ -z "$socket" ] || worker_found=$(ask_socket "show info" 2>/dev/null | awk '$1 == "Pid:" {print $2; exit}')
  if [ -z "$worker_found" ] && [ -z "$reload" ] && [ "$mode" = include ]; then
    main_pid=$(unit_property MainPID)
    children=/proc/$main_pid/task/$main_pid/children
    worker_found=$(sed 's/ *$//; s/.* //' "$children" 2>/dev/null) || worker_found=
    [ -n "$worker_found" ] || worker_found=${main_pid#0}
  fi
  echo "$worker_found"
}

# True when the master process keeps signals blocked, as releases of HAProxy 3.1 to 3.3 from the end of 2025
# do after a failed reload: systemctl then reports reloads that do not happen. While a new file is read,
# signals are blocked too.
ignores_signals() {
  main_pid=$(unit_property MainPID)
  for each in 1 2 3 4 5 6; do
    # SIGUSR2 is bit 12, in the third digit from the right.
    grep -qs '^SigBlk:.*[89a-f]..$' "/proc/$main_pid/status" || return 1
    [ "$each" = 6 ] || sleep 0.5
  done
}

check_reload() {
  [ "$(unit_property CanReload)" != no ] || fault "$unit.service cannot be reloaded; \
give it an ExecReload, as the unit of your distribution has: systemctl edit $unit"
  [ -z "$(unit_lines master)" ] && ignores_signals || return 0
  fault "$unit.service takes no reload since one that failed, as some releases of HAProxy 3.1 to 3.3 do; \
restart it, which closes its connections once: systemctl restart $unit"
}

# The master process takes a reload on its socket in any case.
reload_by_socket() {
  master=$(unit_lines master | head -n 1)
  [ -n "$master" ] && ask_socket reload "$master" >/dev/null 2>&1 9<&-
}

# start_or_reload: with systemctl, or with the command of --reload.
start_or_reload() {
  if [ -n "$reload" ]; then
    sh -c "$reload" </dev/null >/dev/null 2>&1 9<&-
  elif is_active; then
    if ignores_signals && reload_by_socket; then return; fi
    systemctl reload "$unit" 2>/dev/null
  else
    systemctl reset-failed "$unit" 2>/dev/null || true
    systemctl start "$unit" 2>/dev/null
  fi
}

# Remembers where the log ends, so that alerts shows those of this push only.
mark_log() {
  log_end=$(log --lines=0 --show-cursor --quiet | sed -n 's/^-- cursor: //p') || log_end=
}

alerts() {
  log --output=cat --no-pager ${log_end:+"--after-cursor=$log_end"} | grep -F '[ALERT]' | tail -n 20 || true
}

log() {
  journalctl --unit="$unit" "$@" 2>/dev/null
}
