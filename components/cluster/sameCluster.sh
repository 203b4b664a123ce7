#!/bin/sh
# Fails when kubeconfig and context lead to another cluster than that of the stack, or to none that answers.
# A destroy starts with it, and deletes nothing where it fails. From the environment:
#   ISTIO_LAB_CLUSTER    UID of that cluster's namespace kube-system; without it nothing is compared
#   KUBECONFIG           as kubectl reads it; optional
#   ISTIO_LAB_NAMESPACE  the application's namespace; a destroy says where it is gone; optional
#   ISTIO_LAB_OWN_NAMESPACE  a namespace that the destroy deletes; reports what would hold it; optional
#   ISTIO_LAB_CONTEXT    context of the kubeconfig; optional
#   PULUMI_K8S_DELETE_UNREACHABLE    true: a cluster that does not answer counts as gone; optional
#
#   sh sameCluster.sh
set -eu

context=${ISTIO_LAB_CONTEXT:-}
where="${KUBECONFIG:-~/.kube/config}, context ${context:-the current one}"

main() {
  [ -n "${ISTIO_LAB_CLUSTER:-}" ] || exit 0
  command -v kubectl >/dev/null ||
    stop "kubectl is not on PATH; get it from https://kubernetes.io/docs/tasks/tools/"
  # One request: any other kubectl get reads the list of all kinds before, and tries that for a minute.
  answer=$(kube get --raw=/api/v1/namespaces/kube-system --request-timeout=10s 2>&1) ||
    without_answer "$answer"
  found=$(echo "$answer" | sed -n 's/.*"uid": *"\([^"]*\)".*/\1/p' | head -n 1)
  [ "$found" = "$ISTIO_LAB_CLUSTER" ] || other_cluster "$found"
  [ -z "${ISTIO_LAB_NAMESPACE:-}" ] || report_lost_namespace
  [ -z "${ISTIO_LAB_OWN_NAMESPACE:-}" ] || report_broken_apis
}

# Pulumi gives the label of the namespace up by an apply, which makes a deleted namespace anew.
report_lost_namespace() {
  answer=$(kube get --raw="/api/v1/namespaces/$ISTIO_LAB_NAMESPACE" --request-timeout=10s 2>&1) && return
  case $answer in
  *"(NotFound)"*)
    echo "namespace $ISTIO_LAB_NAMESPACE was deleted; without a pulumi refresh before it, this destroy" \
      "makes the namespace anew, empty: delete it then (kubectl delete namespace $ISTIO_LAB_NAMESPACE)"
    ;;
  esac
}

# Kubernetes finishes the deletion of a namespace only when every API answers, which Pulumi does not say.
report_broken_apis() {
  services=$(kube get apiservices --request-timeout=10s --output='jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Available")].status}{"\n"}{end}' 2>/dev/null) || return 0
  echo "$services" | sed -n 's/ False$//p' | while read -r service; do
    echo "APIService $service does not answer: until it does, Kubernetes does not finish the deletion of" \
      "namespace $ISTIO_LAB_OWN_NAMESPACE (repair it, or: kubectl delete apiservice $service)"
  done
}

kube() {
  kubectl ${context:+"--context=$context"} "$@"
}

# 403: the cluster answers; the other rights that are missing show at each deletion.
without_answer() {
  case $1 in *"(Forbidden)"*) exit 0 ;; esac
  [ "${PULUMI_K8S_DELETE_UNREACHABLE:-}" != true ] || exit 0
  words=$(echo "$1" | tail -n 1 | sed 's/[.?]*$//')
  case $1 in
    *"does not exist"* | *"no such file"* | *"localhost:8080"* | *configuration*)
      stop "the last update used $where, which no longer leads to a cluster ($words). Put it back; or" \
        "set kubeconfig and context, run pulumi up, which takes them into the state, and run pulumi" \
        "destroy again"
      ;;
    *Unauthorized* | *"logged in"* | *"getting credentials"* | *"provide credentials"*)
      stop "the cluster of this stack does not know this user any more ($where): $words. Log on, or get a" \
        "new kubeconfig from its administrator, and run pulumi destroy again"
      ;;
  esac
  stop "the cluster of this stack does not answer ($where): $words. Run pulumi destroy again when it does;" \
    "if it is gone for good, destroy without it:
  PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy"
}

other_cluster() {
  server=$(kube config view --minify --output='jsonpath={.clusters[0].cluster.server}')
  stop "$where, leads to another cluster than the one that this stack was made on: $server has the UID $1" \
    "in namespace kube-system, and the other one had $ISTIO_LAB_CLUSTER. Set kubeconfig and context back to" \
    "that cluster, and run pulumi destroy again; if it is gone for good, forget its resources:" \
    "pulumi state delete --all --yes"
}

stop() {
  echo "error: nothing more is deleted: $*" >&2
  exit 1
}

main
