#!/bin/sh
# Checks, before a destroy restores haproxy.cfg, that the load balancer answers and is the same machine. If it
# is not, the message says how to destroy without it.
#
#   sh reachable.sh
#
# From the environment:
#   ISTIO_LAB_MACHINE   USER@HOST
#   ISTIO_LAB_PORT      port of sshd
#   ISTIO_LAB_HOST_KEY  its public host key, TYPE BASE64
#   ISTIO_LAB_UNDO      URN of the resource that would log on to it
set -eu

limit=10 # seconds for an answer

main() {
  # Without the tool the log-on itself has to fail.
  command -v ssh-keyscan >/dev/null || return 0
  host=${ISTIO_LAB_MACHINE##*@}
  shown=$(ssh-keyscan -T "$limit" -p "$ISTIO_LAB_PORT" -t "$(key_type)" "$host" 2>/dev/null) || shown=
  case "$shown " in
    " ") fail "does not answer" ;;
    *" $ISTIO_LAB_HOST_KEY "*) ;;
    *) fail "is another machine now, with another host key" ;;
  esac
}

# As ssh-keyscan names it: ed25519, rsa or ecdsa.
key_type() {
  type=${ISTIO_LAB_HOST_KEY%% *}
  type=${type#ssh-}
  echo "${type%%-*}"
}

fail() {
  cat >&2 <<END
error: load balancer $ISTIO_LAB_MACHINE:$ISTIO_LAB_PORT $1, so the haproxy.cfg from before the first push \
cannot be put back. Start the machine and destroy again. If it is gone for good, destroy without it:
  pulumi state delete --yes --target-dependents '$ISTIO_LAB_UNDO' && pulumi destroy
END
  exit 1
}

main
