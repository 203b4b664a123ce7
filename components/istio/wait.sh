#!/bin/sh
# Waits for one part of Istio while the rest is still being installed.
#
#   sh wait.sh istiod     custom resources are accepted and new pods get their sidecar
#   sh wait.sh gateway    the gateway's Service has its NodePorts
#
# Environment: common.sh. Gives up after 300 s, or as soon as the install has failed.
set -eu
. "$(dirname "$0")/common.sh"

limit=300
deadline=$(($(date +%s) + limit))
gateway=${ISTIO_LAB_GATEWAY:-$namespace/istio-ingressgateway}
revision=${ISTIO_LAB_REVISION:-default}

main() {
  need_kubectl
  case ${1:-} in
    istiod)
      until_true istiod_is_available "an istiod that is available (kubectl get deployments --all-namespaces --selector=app=istiod)"
      until_true injects "a webhook that injects sidecars of revision $revision (kubectl get mutatingwebhookconfigurations --show-labels)"
      echo "istiod is available and injects sidecars"
      ;;
    gateway)
      until_true has_node_ports "a NodePort of the names http2 and status-port at Service $gateway (kubectl get services --all-namespaces)"
      echo "service ${gateway#*/} has its NodePorts"
      ;;
    *) fail "usage: sh wait.sh istiod|gateway" ;;
  esac
}

# until_true CONDITION WHAT: repeats the check until it succeeds.
until_true() {
  until "$1"; do
    [ ! -e "$failure_mark" ] || fail "the installation of Istio failed; see the error of its own command"
    [ "$(date +%s)" -lt "$deadline" ] || fail "after $limit s there is not $2"
    sleep 0.2
  done
}

istiod_is_available() {
  available=$(kube get deployments --all-namespaces --selector=app=istiod \
    --output='jsonpath={.items[*].status.availableReplicas}' 2>/dev/null) && [ -n "$available" ]
}

injects() {
  for label in rev tag; do
    bundles=$(kube get mutatingwebhookconfigurations --selector="app=sidecar-injector,istio.io/$label=$revision" \
      --output='jsonpath={.items[*].webhooks[*].clientConfig.caBundle}' 2>/dev/null) || return 1
    [ -z "$bundles" ] || return 0
  done
  return 1
}

has_node_ports() {
  ports=$(kube get service "${gateway#*/}" --namespace="${gateway%/*}" \
    --output='jsonpath={.spec.ports[?(@.name=="http2")].nodePort} {.spec.ports[?(@.name=="status-port")].nodePort}' \
    2>/dev/null)
  case $ports in
    [0-9]*" "[0-9]*) ;;
    *) return 1 ;;
  esac
}

main "$@"
