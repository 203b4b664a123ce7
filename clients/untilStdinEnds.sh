#!/bin/sh
# Runs a command until it ends or standard input ends, then removes a directory. Standard input ends when the
# process that started this script has ended or was killed.
#
#   sh untilStdinEnds.sh DIRECTORY COMMAND [ARGUMENT...]
#
# Has to be the leader of a process group, so that the command's children end with it.
set -u

directory=$1
shift
exec 3<&0
trap : TERM # a handler, not '': the command would inherit that it is ignored
"$@" </dev/null 3<&- &
command=$!
exec 2>/dev/null # the shell's own words about what it ends
{
  read -r _
  kill 0
} <&3 >/dev/null 2>&1 3<&- &
watcher=$!
wait "$command"
status=$?
kill "$watcher" 2>/dev/null
rm -rf "$directory"
exit "$status"
