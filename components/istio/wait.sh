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
      until_true istiod_is_available \
        "an istiod that is available (kubectl get deployments --all-namespaces --selector=app=istiod)" \
        deployments --all-namespaces --selector=app=istiod --for=condition=Available
      until_true injects \
        "a webhook that injects sidecars of revision $revision \
(kubectl get mutatingwebhookconfigurations --show-labels)"
      echo "istiod is available and injects sidecars"
      ;;
    gateway)
      until_true has_node_ports \
        "a NodePort for the ports 80 (http2) and 15021 (status-port) at Service $gateway \
(kubectl get services --all-namespaces)" \
        "service/${gateway#*/}" --namespace="${gateway%/*}" --for=create
      echo "service ${gateway#*/} has its NodePorts"
      ;;
    *) fail "usage: sh wait.sh istiod|gateway" ;;
  esac
}

# until_true CONDITION WHAT [ARG...]: repeats the check until it succeeds. Between two checks `kubectl wait
# ARG...` watches for a change. With short pauses alone, one kubectl after the other would take a processor
# from the installation.
until_true() {
  condition=$1 what=$2
  shift 2
  until "$condition"; do
    [ ! -e "$failure_mark" ] || fail "the installation of Istio failed; see the error of its own command"
    [ "$(date +%s)" -lt "$deadline" ] || fail "after $limit s there is not $what"
    # It fails at once while there is no such object.
    [ $# = 0 ] || kube wait "$@" --timeout=3s >/dev/null 2>&1 || sleep 1
    sleep 0.2
  done
}

# Of a cluster with several, the one that serves the revision; a tag stands for another name.
istiod_is_available() {
  [ "${ISTIO_LAB_MANAGE:-}" != false ] || ! is_external || return 0
  selector=app=istiod
  if [ "$revision" != default ]; then
    stands_for=$(kube get mutatingwebhookconfigurations \
      --selector="app=sidecar-injector,istio.io/tag=$revision" \
      --output='jsonpath={.items[0].metadata.labels.istio\.io/rev}' 2>/dev/null) || stands_for=
    selector=$selector,istio.io/rev=${stands_for:-$revision}
  fi
  available=$(kube get deployments --all-namespaces --selector="$selector" \
    --output='jsonpath={.items[*].status.availableReplicas}' 2>/dev/null) && [ -n "$available" ]
}

# An istiod outside the cluster: its webhooks have a URL in place of a Service.
is_external() {
  webhooks_have url
}

injects() {
  webhooks_have caBundle
}

# webhooks_have FIELD: in clientConfig, whether the revision's webhooks are a revision's or a tag's.
webhooks_have() {
  for label in rev tag; do
    values=$(kube get mutatingwebhookconfigurations \
      --selector="app=sidecar-injector,istio.io/$label=$revision" \
      --output="jsonpath={.items[*].webhooks[*].clientConfig.$1}" 2>/dev/null) || return 1
    [ -z "$values" ] || return 0
  done
  return 1
}

# By name, or by number: the Services of other tools give other names.
has_node_ports() {
  ports=$(kube get service "${gateway#*/}" --namespace="${gateway%/*}" \
    --output='jsonpath={range .spec.ports[*]} {.name}/{.port}/{.nodePort}{end} ' 2>/dev/null) || return 1
  has_node_port "http2/[0-9]*" || has_node_port "*/80" || return 1
  has_node_port "status-port/[0-9]*" || has_node_port "*/15021"
}

# has_node_port PATTERN: one of $ports, NAME/PORT, has a NodePort.
has_node_port() {
  for port in $ports; do
    # shellcheck disable=SC2254 # it is a pattern
    case $port in $1/[0-9]*) return 0 ;; esac
  done
  return 1
}

main "$@"
