#!/bin/sh
# Sourced by the init of a machine. Starts daemons, keeps their logs in /var/log/lab, and leaves
# /run/lab/DAEMON.exit with the status of one that ended, which is how the lab knows of it.

daemon() { # daemon NAME COMMAND [ARG...]
  name=$1
  shift
  rm -f "/run/lab/$name.exit"
  (
    "$@" >>"/var/log/lab/$name.log" 2>&1 &
    echo $! >"/run/lab/$name.pid"
    status=0
    wait $! || status=$?
    echo "$status" >"/run/lab/$name.exit"
  ) &
}

# Process 1 has nothing left to do but to reap what others leave to it.
reap() {
  while :; do
    wait
    sleep 3600 &
  done
}
