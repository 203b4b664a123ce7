#!/bin/sh
# Installs Istio, or changes the installed one to what is described: istioctl does both in place.
#
#   sh install.sh < istio-operator.yaml        (environment: common.sh; claim.sh has run)
set -eu
. "$(dirname "$0")/common.sh"

limit=900     # seconds for everything
readiness=5m  # for each component

remove_failure_marks
trap '[ $? -eq 0 ] || (set -C && : >"$failure_mark") 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM
need_istioctl
bounded "$limit" istioctl install ${context:+"--context=$context"} --skip-confirmation \
  --readiness-timeout="$readiness" --filename=-
