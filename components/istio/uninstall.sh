#!/bin/sh
# Uninstalls the Istio that this stack installed, and what `istioctl uninstall --purge` leaves behind. Purging takes every
# Istio object of the cluster along: while somebody else has any, Istio stays, and the message names what holds it.
#
#   sh uninstall.sh        (environment: common.sh)
#
# Exit status: 0 Istio is gone, or stays for a reason that is told; 1 it could not be removed.
set -eu
. "$(dirname "$0")/common.sh"

limit=300 # seconds for each step

main() {
  need_kubectl
  owner=$(owner_of_istio)
  if [ "$owner" != "$ISTIO_LAB_OWNER" ]; then
    echo "nothing to uninstall: the Istio in this cluster, if any, belongs to ${owner:-nobody}, not to $ISTIO_LAB_OWNER" >&2
    return
  fi
  holders=$(holders_of_istio)
  if [ -n "$holders" ]; then
    echo "Istio stays in the cluster, because others use it:" >&2
    echo "$holders" | sed 's/^/  /' >&2
    echo "Delete these, then: istioctl uninstall --purge -y && kubectl delete namespace $namespace" >&2
    return
  fi
  need_istioctl
  bounded "$limit" istioctl uninstall ${context:+"--context=$context"} --purge --skip-confirmation
  remove_leftovers
}

# Istio's objects that istioctl did not make itself, and control planes other than ours: one a line. A question that
# gets no answer ends the script: silence must not pass for "nobody".
holders_of_istio() {
  crds=$(kube get customresourcedefinitions --output='jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}')
  kinds=$(echo "$crds" | grep '\.istio\.io$' | paste -s -d , -) || kinds=
  if [ -n "$kinds" ]; then
    kube get "$kinds" --all-namespaces --ignore-not-found --selector='!install.operator.istio.io/owning-resource' \
      --output='jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{"\n"}{end}'
  fi
  planes=$(kube get deployments --all-namespaces --selector=app=istiod \
    --output='jsonpath={range .items[*]}Deployment {.metadata.namespace}/{.metadata.name}{"\n"}{end}')
  echo "$planes" | grep -v -x -e "Deployment $namespace/istiod" -e '' || true
}

# The namespace goes last: it carries the claim, so that an interrupted run can be started again.
remove_leftovers() {
  delete_named mutatingwebhookconfigurations '^istio-'
  delete_named validatingwebhookconfigurations '^istio'
  delete_named validatingadmissionpolicybindings 'istio\.io$'
  delete_named validatingadmissionpolicies 'istio\.io$'
  delete_named clusterrolebindings '^istio'
  delete_named clusterroles '^istio'
  delete_named customresourcedefinitions '\.istio\.io$'
  delete_named gatewayclasses.gateway.networking.k8s.io '^istio'
  kube delete deployments,daemonsets,services,pods --all --namespace="$namespace" --grace-period=1 --wait --timeout="${limit}s" >/dev/null
  delete_config_maps istio-ca-root-cert istio-ca-crl
  kube delete namespace "$namespace" --ignore-not-found --wait --timeout="${limit}s"
}

# delete_named KIND PATTERN: every object of a cluster-wide kind by its name; a cluster may lack the kind.
delete_named() {
  names=$(kube get "$1" --output='jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' 2>/dev/null | grep -E "$2" || true)
  # shellcheck disable=SC2086 # names of Kubernetes objects are single words
  [ -z "$names" ] || kube delete "$1" $names --ignore-not-found --wait --timeout="${limit}s"
}

# istiod puts them into every namespace, and would again: it is gone by now.
delete_config_maps() {
  for config_map in "$@"; do
    kube get configmaps --all-namespaces --field-selector="metadata.name=$config_map" \
      --output='jsonpath={range .items[*]}{.metadata.namespace}{"\n"}{end}' |
      while read -r holder; do
        kube delete configmap "$config_map" --namespace="$holder" --ignore-not-found --wait=false </dev/null
      done
  done
}

main
