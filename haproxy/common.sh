#!/bin/sh
# What push.sh and restore.sh share: arguments, root, paths, lock, the first line of haproxy.cfg, messages.
#
# It stands in front of them, in one file or on standard input; a script that lies beside it loads it.
set -eu
umask 022
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# shellcheck disable=SC2034 # the scripts look whether it is set
common=yes

# What the options set; each script says which it has in $options, and how they read in $synopsis.
file=/etc/haproxy/haproxy.cfg
socket=/run/haproxy/admin.sock
probe=
listen=
mode=
owner=
reload=
unit=haproxy
dry_run=
look=

# shellcheck disable=SC2034,SC2154 # a script has some of the options only, and says which
parse_arguments() {
  while [ $# -gt 0 ]; do
    case $options in *" $1 "*) ;; *) usage "unknown argument $1" ;; esac
    case $1 in
      --dry-run) dry_run=yes ;;
      --look) look=yes ;;
      *)
        [ $# -ge 2 ] || usage "$1 needs a value"
        case $1 in
          --file) file=$2 ;;
          --listen) listen=$2 ;;
          --mode) mode=$2 ;;
          --owner) owner=$2 ;;
          --probe) probe=$2 ;;
          --reload) reload=$2 ;;
          --socket) socket=$2 ;;
          --unit) unit=${2%.service} ;;
        esac
        shift
        ;;
    esac
    shift
  done
  case $file in /*) ;; *) usage "--file $file is not an absolute path" ;; esac
}

# A script that is a file starts itself again with sudo. The text of a script on standard input cannot.
become_root() {
  is_root || {
    [ -f "$0" ] || fail "this must run as root"
    exec sudo -n -u root -- sh "$0" "$@"
  }
}

is_root() {
  [ "$(id -u)" -eq 0 ]
}

# A symbolic link stays one: the file it points to is replaced. The new file names its certificate
# by the path as it was given.
# shellcheck disable=SC2034 # a script has use for some of the paths only
find_paths() {
  certificates=$file.tls-
  if real=$(readlink -f "$file"); then file=$real; fi
  directory=$(dirname "$file")
  name=$(basename "$file")
  before=$file.before-istio-lab
  old=$directory/.$name.istio-lab-old
  staging=$directory/.$name.istio-lab-new
}

# The lock is the directory itself, so no lock file is left behind.
take_lock() {
  exec 9<"$directory"
  flock -w 60 9 || fail "another push to $directory has held the lock for 60 s; nothing was changed"
}

# What a killed push has staged may hold a key.
remove_stale_files() {
  [ -n "$dry_run" ] || rm -f "$staging."*
}

# ---- the first line: `# istio-lab owner=OWNER sha256=HASH`, HASH being that of the lines below ----

first_line_begins='^# istio-lab owner='

# first_line FILE: prints `OWNER HASH`, or nothing for a file that is not this project's.
first_line() {
  sed -n "1s/$first_line_begins\([^ ]*\) sha256=\([0-9a-f]\{64\}\)\$/\1 \2/p" "$1"
}

owner_of() {
  first=$(first_line "$1")
  echo "${first% *}"
}

is_first_push() {
  { [ ! -f "$file" ] || [ -z "$(owner_of "$file")" ]; } && [ ! -e "$before" ] && [ ! -e "$before-none" ]
}

# True when the lines below the first one are as they were pushed.
is_intact() {
  first=$(first_line "$1")
  [ -n "$first" ] && [ "$(tail -n +2 "$1" | sha256sum | cut -c 1-64)" = "${first#* }" ]
}

# The name of a copy of FILE as it is now, edited by hand.
by_hand_name() {
  echo "$file.by-hand-$(sha256sum <"$file" | cut -c 1-12)"
}

# ---- files and messages ----

# copy SOURCE TARGET: with owner, mode and times; whole or not at all.
copy() {
  rm -f "$2.part"
  if cp -p "$1" "$2.part" && sync "$2.part" && mv -f "$2.part" "$2"; then return; fi
  rm -f "$2.part"
  fail "cannot keep a copy of $1 in $directory; nothing was changed"
}

# A caller that has hung up must not end the script.
say() {
  echo "$*" || true
}

fail() {
  echo "error: $*" >&2
  exit 1
}

# What forbids a push: a line of the report with --look, the end of the script without.
fault() {
  if [ -n "$look" ]; then say "fault $*"; else fail "$*; nothing was changed"; fi
}

# What a push does not fail on: a line of the report with --look, of the output without.
warn() {
  if [ -n "$look" ]; then say "warning $*"; else say "warning: $*"; fi
}

# shellcheck disable=SC2154 # each script sets $synopsis
usage() {
  printf 'error: %s\nusage: %s\n' "$*" "$synopsis" >&2
  exit 2
}
