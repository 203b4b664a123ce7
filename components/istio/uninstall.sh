#!/bin/sh
# Uninstalls the Istio that this stack installed. Nothing is deleted that neither Istio nor this stack made:
# while another owner uses Istio or has objects in namespace istio-system, Istio stays, and the message names
# them.
#
#   sh uninstall.sh        (environment: common.sh)
#
# Exit status: 0 Istio is gone, or stays for a reason that is printed; 1 it could not be removed.
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/others.sh"

limit=60 # seconds for each step
# One object as a document of YAML, within a range of jsonpath.
as_yaml='{"apiVersion: "}{.apiVersion}{"\nkind: "}{.kind}{"\nmetadata:\n  name: "}{.metadata.name}'
as_yaml=$as_yaml'{"\n  namespace: "}{.metadata.namespace}{"\n---\n"}{end}'

main() {
  need_kubectl
  need_cluster
  sh "$(dirname "$0")/../cluster/sameCluster.sh" # a claim of a previous version names no cluster
  owner=$(annotation_of_claim owner)
  if [ -z "$owner" ] && is_namespace_gone; then
    echo "namespace $namespace was deleted, and with it the claim on Istio: what is left of Istio is" \
      "removed" >&2
  elif [ "$owner" != "$ISTIO_LAB_OWNER" ]; then
    echo "nothing to uninstall: the Istio in this cluster, if any, belongs to ${owner:-no stack}, not to" \
      "$ISTIO_LAB_OWNER" >&2
    return
  fi
  find_kinds
  remove_orphans
  holders=$(holders_of_istio)
  if [ -n "$holders" ]; then
    # One line: of a command that succeeds, Pulumi's display keeps the last line only.
    echo "Istio stays in the cluster, because of $(listed "$holders"); when these are gone, uninstall it" \
      "from the directory of this program: $(this_run)" >&2
    await_sidecars
    return
  fi
  need_istioctl
  purge
  remove_leftovers
  remove_namespace
  await_sidecars
}

# A claim that was given up leaves the namespace. Webhooks without a server stay where it is deleted by hand:
# the API server then refuses what they are for, in every namespace with their label.
is_namespace_gone() {
  uid=$(kube get namespace "$namespace" --ignore-not-found --output='jsonpath={.metadata.uid}')
  [ -z "$uid" ]
}

# Reports a cluster that does not answer within seconds. A cluster that is gone for good has no Istio.
need_cluster() {
  answer=$(kube get --raw=/version --request-timeout=10s 2>&1) && return
  if [ "${PULUMI_K8S_DELETE_UNREACHABLE:-}" = true ]; then
    echo "the cluster does not answer, and PULUMI_K8S_DELETE_UNREACHABLE is true: its Istio counts" \
      "as gone" >&2
    exit 0
  fi
  fail "the cluster does not answer, so that Istio cannot be uninstalled ($(echo "$answer" | tail -n 1)):" \
    "try again when it does; if it is gone for good, run PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy"
}

# Sets crds: every custom kind. Sets kinds: Istio's own, with commas between; empty where Istio has none.
# A command that gets no answer ends the script, here and below: no answer does not mean "none".
find_kinds() {
  crds=$(kube get customresourcedefinitions --output='jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}')
  kinds=$(echo "$crds" | grep '\.istio\.io$' | paste -s -d , -) || kinds=
}

# Pulumi has deleted every object in the state. An object that still has the stack's annotation was made by an
# update that was killed before it wrote the state.
remove_orphans() {
  orphans=$(orphans)
  [ -n "$orphans" ] || return 0
  echo "$orphans" |
    kube delete --filename=- --ignore-not-found --cascade=foreground --wait --timeout="${limit}s" ||
    fail "this stack's $(names_of "$orphans") is still being deleted; look for finalizers (kubectl get KIND" \
      "NAME --output=yaml), and run pulumi destroy again"
}

# names_of ORPHANS: their kinds and names, on one line.
names_of() {
  echo "$1" | awk '/^kind/ { kind = $2 } /^  name:/ { print kind, $2 }' | paste -s -d , -
}

# As a stream of YAML.
orphans() {
  # A claim of a previous version sets no ISTIO_LAB_KINDS.
  wanted=${ISTIO_LAB_KINDS:-deployments services configmaps secrets $(echo "$kinds" | tr , ' ')}
  known=
  for kind in $wanted; do
    case $kind in
      *.istio.io | *.gateway.networking.k8s.io) is_custom_kind "$kind" || continue ;;
      *.k8s.io) ;;
      *.*.*) is_custom_kind "$kind" || continue ;;
    esac
    known=${known:+$known,}$kind
  done
  # Namespace istio-system bears the claim, not an orphan's mark.
  kube get "$known" --all-namespaces --field-selector="metadata.name!=$namespace" \
    --output="jsonpath={range .items[?(@.metadata.annotations.istio-lab/owner==\"$ISTIO_LAB_OWNER\")]}$as_yaml"
}

is_custom_kind() {
  echo "$crds" | grep -q -x "$(echo "$1" | sed 's/\./\\./g')"
}

this_run() {
  # shellcheck disable=SC2016 # the quotes are part of what is printed
  cluster="${KUBECONFIG:+KUBECONFIG='$KUBECONFIG' }${context:+ISTIO_LAB_CONTEXT='$context' }"
  echo "${cluster}ISTIO_LAB_OWNER='$ISTIO_LAB_OWNER' sh $0"
}

# Pods end while istioctl deletes one object after the other. Nothing sends them requests any more, so that
# they need not drain connections. istioctl also connects to istiod, which can be gone by then: klog would
# print an error.
purge() {
  end_pods_of_istio &
  pods=$!
  status=0
  bounded 300 istioctl uninstall ${context:+"--context=$context"} --purge --skip-confirmation \
    --log_output_level=klog:none || status=$?
  echo # istioctl ends without a new line
  ended=0
  wait "$pods" || ended=$?
  [ "$status" = 0 ] || fail "istioctl uninstall ended with status $status; run pulumi destroy again"
  [ "$ended" = 0 ] || exit "$ended"
}

# A Deployment or a ReplicaSet that is not being deleted would make another pod.
end_pods_of_istio() {
  kube delete deployments,replicasets --selector="$istio_label" --namespace="$namespace" \
    --cascade=orphan --wait=false >/dev/null
  kube delete pods --selector="$istio_label" --namespace="$namespace" \
    --grace-period=1 --wait --timeout="${limit}s" >/dev/null ||
    fail "pods of Istio are still being deleted; look with: kubectl get pods" \
      "--namespace=$namespace, and run pulumi destroy again"
}

# What a purge leaves: objects that istiod makes at run time, and those of a purge that was interrupted.
remove_leftovers() {
  remove_kinds mutatingwebhookconfigurations,validatingwebhookconfigurations
  remove_kinds clusterrolebindings,clusterroles,customresourcedefinitions
  # A cluster before Kubernetes 1.30 lacks these.
  remove_kinds validatingadmissionpolicybindings,validatingadmissionpolicies
  kube get gatewayclasses.gateway.networking.k8s.io --output='jsonpath={range .items[*]}{.metadata.name} {.spec.controllerName}{"\n"}{end}' 2>/dev/null |
    sed -n 's/ istio\.io\/.*//p' | while read -r class; do
    kube delete gatewayclasses.gateway.networking.k8s.io "$class" --ignore-not-found --wait=false </dev/null
  done
  kube delete deployments,daemonsets,services,pods --selector="$istio_label" --namespace="$namespace" \
    --grace-period=1 --wait --timeout="${limit}s" >/dev/null
  # istiod puts these into every namespace; it has ended by now and does not create them again.
  config_maps=$(kube get configmaps --all-namespaces --selector=istio.io/config=true \
    --output="jsonpath={range .items[*]}$as_yaml")
  [ -z "$config_maps" ] || echo "$config_maps" | kube delete --filename=- --ignore-not-found --wait=false
}

# remove_kinds KINDS: objects of Istio's installation, of these kinds.
remove_kinds() {
  kube delete "$1" --selector="$istio_label" --ignore-not-found --wait --timeout="${limit}s" 2>/dev/null ||
    [ -z "$(kube get "$1" --selector="$istio_label" --output=name 2>/dev/null)" ] ||
    fail "objects of Istio are still being deleted; look for finalizers (kubectl get $1" \
      "--selector=$istio_label --output=yaml), and run pulumi destroy again"
}

# Pods of the app end while Istio is uninstalled.
await_sidecars() {
  draining=$(kube get pods --all-namespaces --selector="$sidecar_label" \
    --output='jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name} {.metadata.deletionTimestamp}{"\n"}{end}' |
    sed -n 's/ [^ ]\{1,\}$//p')
  [ -n "$draining" ] || return 0
  echo "$draining" | while read -r where pod; do
    kube wait --for=delete "pod/$pod" --namespace="$where" --timeout="${limit}s" </dev/null >/dev/null 2>&1 ||
      [ -z "$(kube get pod "$pod" --namespace="$where" --ignore-not-found --output=name </dev/null)" ] ||
      echo "pod $where/$pod is still being deleted, after $limit s" >&2
  done
}

# The namespace goes last: it carries the claim, so that an interrupted run can be started again.
remove_namespace() {
  others=$(others_in_namespace)
  if [ -z "$others" ] && [ "$(annotation_of_claim namespace)" != existed ]; then
    kube delete namespace "$namespace" --ignore-not-found --wait=false
    await_namespace
    return
  fi
  remove_objects_of_istiod
  kube annotate namespace "$namespace" istio-lab/owner- istio-lab/namespace- >/dev/null
  [ -n "$others" ] && why="it holds $(listed "$others")" || why="it existed before"
  echo "Istio is uninstalled; namespace $namespace stays, because $why" >&2
}

# The authority's key, and the locks of istiod's leader election.
remove_objects_of_istiod() {
  kube delete secrets --field-selector=type=istio.io/ca-root --namespace="$namespace" \
    --ignore-not-found --wait=false
  kube get configmaps,leases --namespace="$namespace" \
    --output='jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.annotations.control-plane\.alpha\.kubernetes\.io/leader}{"\n"}{end}' |
    sed -n -e 's/^\(Lease istio-[^ ]*\) .*/\1/p' -e 's/^\(ConfigMap istio-[^ ]*\) .\{1,\}/\1/p' |
    while read -r kind name; do
      kube delete "$kind" "$name" --namespace="$namespace" --ignore-not-found --wait=false </dev/null
    done
}

# Ends when the namespace is gone, or when something holds it: Kubernetes then finishes as soon as that is
# gone.
await_namespace() {
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kube wait --for=delete "namespace/$namespace" --timeout=3s >/dev/null 2>&1 || true
    state=$(kube get namespace "$namespace" --ignore-not-found \
      --output='jsonpath={.status.phase} {.status.conditions[?(@.type=="NamespaceDeletionDiscoveryFailure")].status}')
    [ -n "$state" ] || return 0
    [ "${state#* }" != True ] || break
  done
  echo "Istio is uninstalled; namespace $namespace is still being deleted, and Kubernetes finishes that as" \
    "soon as it can: $(what_holds_namespace | paste -s -d \; - | sed "s/;/; /g")" >&2
}

main
