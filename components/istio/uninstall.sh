#!/bin/sh
# Uninstalls the Istio that this stack installed, and what `istioctl uninstall --purge` leaves behind. Purging takes every
# Istio object of the cluster along: while somebody else has any, or a pod with a sidecar, Istio stays, and the message
# names what holds it.
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
  find_kinds
  remove_orphans
  holders=$(holders_of_istio)
  if [ -n "$holders" ]; then
    # One line: of a command that succeeds Pulumi's display keeps the last only.
    echo "Istio stays in the cluster, because others use it: $(echo "$holders" | paste -s -d , - | sed 's/,/, /g'); when these are gone, uninstall it from the directory of this program: $(this_run)" >&2
    return
  fi
  need_istioctl
  bounded "$limit" istioctl uninstall ${context:+"--context=$context"} --purge --skip-confirmation
  remove_leftovers
}

# Every kind of Istio's, with commas between; none where the install has not come so far. A question that gets no answer
# ends the script, here and below: silence must not pass for "nobody".
find_kinds() {
  crds=$(kube get customresourcedefinitions --output='jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}')
  kinds=$(echo "$crds" | grep '\.istio\.io$' | paste -s -d , -) || kinds=
}

# All that the stack's state knows of is gone by now. What still bears the stack's name was made by an update that was
# killed at that moment.
remove_orphans() {
  orphans=$(kube get "deployments,services,configmaps${kinds:+,$kinds}" --all-namespaces \
    --output='jsonpath={range .items[?(@.metadata.annotations.istio-lab/owner=="'"$ISTIO_LAB_OWNER"'")]}{"apiVersion: "}{.apiVersion}{"\nkind: "}{.kind}{"\nmetadata:\n  name: "}{.metadata.name}{"\n  namespace: "}{.metadata.namespace}{"\n---\n"}{end}')
  [ -z "$orphans" ] ||
    echo "$orphans" | kube delete --filename=- --ignore-not-found --cascade=foreground --wait --timeout="${limit}s"
}

# What Istio's going would break, one a line: objects that istioctl did not make itself, Gateways of the Gateway API,
# other control planes, and pods with a sidecar. What is being deleted holds nothing any more.
holders_of_istio() {
  candidates=$(candidates)
  echo "$candidates" | sed -n 's/ $//p' | grep -v -x "Deployment $namespace/istiod" || true
}

# One a line: KIND NAMESPACE/NAME, and when it was deleted.
candidates() {
  line='{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.deletionTimestamp}{"\n"}{end}'
  if [ -n "$kinds" ]; then
    kube get "$kinds" --all-namespaces --ignore-not-found --selector='!install.operator.istio.io/owning-resource' \
      --output="jsonpath={range .items[*]}$line"
  fi
  if echo "$crds" | grep -q -x 'gateways\.gateway\.networking\.k8s\.io'; then
    gateways=$(kube get gateways.gateway.networking.k8s.io --all-namespaces \
      --output="jsonpath={range .items[*]}{.spec.gatewayClassName} $line")
    echo "$gateways" | sed -n 's/^istio[^ ]* //p'
  fi
  kube get deployments --all-namespaces --selector=app=istiod --output="jsonpath={range .items[*]}$line"
  kube get pods --all-namespaces --selector='security.istio.io/tlsMode,!install.operator.istio.io/owning-resource' \
    --output="jsonpath={range .items[*]}$line"
}

this_run() {
  # shellcheck disable=SC2016 # the quotes are part of what is printed
  echo "${KUBECONFIG:+KUBECONFIG='$KUBECONFIG' }${context:+ISTIO_LAB_CONTEXT='$context' }ISTIO_LAB_OWNER='$ISTIO_LAB_OWNER' sh $0"
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
