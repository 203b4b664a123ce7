#!/bin/sh
# Sourced by the init of a machine. Starts daemons, keeps their logs in /var/log/lab, and leaves
# /run/lab/DAEMON.exit with the exit code of one that has ended: `./lab status` and `./lab up` report it.

# Go's garbage collector delays a lab's start. So the heap grows to five times what is in use, not to twice
# that. From GOMEMLIMIT on it is collected as often as needed.
export GOGC=400 GOMEMLIMIT=768MiB

daemon() { # daemon NAME COMMAND [ARG...]
  start 0 "$@"
}

# For a daemon that gives up when another one is not ready soon enough: it is restarted, up to 20 times. One
# that is killed is not.
persistent() { # persistent NAME COMMAND [ARG...]
  start 20 "$@"
}

start() { # start RETRIES NAME COMMAND [ARG...]
  retries=$1 name=$2
  shift 2
  rm -f "/run/lab/$name.exit"
  (
    while :; do
      "$@" >>"/var/log/lab/$name.log" 2>&1 &
      echo $! >"/run/lab/$name.pid"
      status=0
      wait $! || status=$?
      # A status from 129 to 192 is a signal's number plus 128. Kubernetes' own fatal errors end with 255.
      if [ "$retries" = 0 ] || { [ "$status" -gt 128 ] && [ "$status" -le 192 ]; }; then break; fi
      retries=$((retries - 1))
      echo "ended with exit code $status, started again" >>"/var/log/lab/$name.log"
      sleep 1
    done
    echo "$status" >"/run/lab/$name.ended"
    mv "/run/lab/$name.ended" "/run/lab/$name.exit"
  ) &
}

# Waits until the API server accepts connections. Its clients start after that. Earlier they would take the
# processor from it, and the kubelet would pause longer after each attempt.
until_served() { # until_served ADDRESS
  until socat -u OPEN:/dev/null "TCP:$1:6443,connect-timeout=2" 2>/dev/null; do sleep 0.1; done
}

# Process 1 has nothing else to do: it reaps the processes whose parents have ended.
reap() {
  while :; do
    wait
    sleep 3600 &
  done
}
