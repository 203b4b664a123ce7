# shellcheck shell=sh
# What the scripts of this directory share; sourced, never run. From the environment:
#   KUBECONFIG           as kubectl reads it; optional
#   ISTIO_LAB_CONTEXT    context of the kubeconfig; optional
#   ISTIO_LAB_OWNER      the stack, as the annotation istio-lab/owner of namespace istio-system holds it
#   ISTIO_LAB_VERSION    Istio's version, e.g. 1.31.0
#   ISTIO_LAB_GATEWAY    namespace/name of the gateway's Service, for wait.sh; optional
#   ISTIO_LAB_REVISION   revision or tag that injects sidecars, for wait.sh; optional
#   ISTIO_LAB_KINDS      kinds of objects that the stack may own, as kubectl names them, with spaces; for
#                        uninstall.sh; optional
#   ISTIO_LAB_GATEWAYS   namespace/name of each gateway's Deployment that the stack installs, with spaces; for
#                        uninstall.sh; optional
#   ISTIO_LAB_MANAGE     false: another tool installed Istio; for wait.sh; optional
#   ISTIO_LAB_CNI        not empty: Istio's CNI is installed; for claim.sh; optional
#   ISTIO_LAB_CLUSTER    UID of the cluster's namespace kube-system; for uninstall.sh; optional

namespace=istio-system
context=${ISTIO_LAB_CONTEXT:-}

# install.sh and wait.sh run at the same time as children of one process, the plugin. wait.sh gives up when
# this file exists, because install.sh creates it when it fails.
# shellcheck disable=SC2034
failure_mark=${TMPDIR:-/tmp}/istio-lab-install-failed.$(id -u).$PPID

# Removes the mark of this plugin process, and the marks of processes that have ended.
remove_failure_marks() {
  rm -f "$failure_mark"
  for mark in "${failure_mark%.*}".*; do
    kill -0 "${mark##*.}" 2>/dev/null || rm -f "$mark"
  done
}

kube() {
  kubectl ${context:+"--context=$context"} "$@"
}

# bounded SECONDS COMMAND...: with a time limit, where the machine has `timeout`.
bounded() {
  if command -v timeout >/dev/null; then timeout "$@"; else shift && "$@"; fi
}

need_kubectl() {
  command -v kubectl >/dev/null ||
    fail "kubectl is not on PATH; get it from https://kubernetes.io/docs/tasks/tools/"
}

need_istioctl() {
  version=${ISTIO_LAB_VERSION:-}
  command -v istioctl >/dev/null ||
    fail "istioctl is not on PATH; get version $version: curl -L https://istio.io/downloadIstio |" \
      "ISTIO_VERSION=$version sh -, then add istio-$version/bin to PATH"
}

# annotation_of_claim NAME: an annotation istio-lab/NAME of namespace istio-system; empty where there is none.
annotation_of_claim() {
  kube get namespace "$namespace" --ignore-not-found --output="jsonpath={.metadata.annotations.istio-lab/$1}"
}

fail() {
  echo "error: $*" >&2
  exit 1
}
