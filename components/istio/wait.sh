#!/bin/sh
# Waits for one part of Istio while the rest is still being installed.
#
#   sh wait.sh istiod     custom resources are accepted and new pods get their sidecar
#   sh wait.sh gateway    Service istio-ingressgateway has its NodePorts
#
# Environment: common.sh. Gives up after 300 s, or as soon as the install has failed.
set -eu
. "$(dirname "$0")/common.sh"

limit=300
deadline=$(($(date +%s) + limit))

main() {
  need_kubectl
  case ${1:-} in
    istiod) wait_for_istiod ;;
    gateway) wait_for_gateway ;;
    *) fail "usage: sh wait.sh istiod|gateway" ;;
  esac
}

wait_for_istiod() {
  until_true exists deployment/istiod
  until_true is_available deployment/istiod
  until_true injects
  echo "istiod is available and injects sidecars"
}

wait_for_gateway() {
  until_true exists service/istio-ingressgateway
  until_true has_node_ports
  echo "service istio-ingressgateway has its NodePorts"
}

# until_true CONDITION...: repeats the check; where kubectl can wait, the check itself takes some seconds.
until_true() {
  until "$@"; do
    [ ! -e "$failure_mark" ] || fail "the installation of Istio failed; see the error of its own command"
    [ "$(date +%s)" -lt "$deadline" ] ||
      fail "no '$*' in namespace $namespace within $limit s; look with: kubectl get deployments,services,pods --namespace $namespace"
    sleep 0.2
  done
}

# kubectl before 1.31 has no --for=create; there the plain get decides.
exists() {
  kube wait --for=create --timeout=2s --namespace="$namespace" "$1" >/dev/null 2>&1 ||
    kube get --namespace="$namespace" "$1" >/dev/null 2>&1
}

is_available() {
  kube wait --for=condition=Available --timeout=2s --namespace="$namespace" "$1" >/dev/null 2>&1
}

injects() {
  bundles=$(kube get mutatingwebhookconfigurations --selector=app=sidecar-injector \
    --output='jsonpath={.items[*].webhooks[*].clientConfig.caBundle}' 2>/dev/null) && [ -n "$bundles" ]
}

has_node_ports() {
  ports=$(kube get service istio-ingressgateway --namespace="$namespace" \
    --output='jsonpath={.spec.ports[?(@.name=="http2")].nodePort} {.spec.ports[?(@.name=="status-port")].nodePort}' \
    2>/dev/null)
  case $ports in
    [0-9]*" "[0-9]*) ;;
    *) return 1 ;;
  esac
}

main "$@"
