# shellcheck shell=sh
# What the scripts of this directory share; sourced, never run. From the environment:
#   KUBECONFIG           as kubectl has it; optional
#   ISTIO_LAB_CONTEXT    context of the kubeconfig; optional
#   ISTIO_LAB_OWNER      the stack, as it stands in the annotation istio-lab/owner of namespace istio-system
#   ISTIO_LAB_VERSION    Istio's version, e.g. 1.31.0

namespace=istio-system
context=${ISTIO_LAB_CONTEXT:-}

# Install and wait run at the same time as children of one process, the plugin; through this file the wait learns that
# the install has failed. Its being there is all it says.
# shellcheck disable=SC2034
failure_mark=${TMPDIR:-/tmp}/istio-lab-install-failed.$(id -u).$PPID

forget_failures() {
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
  command -v istioctl >/dev/null ||
    fail "istioctl is not on PATH; get version ${ISTIO_LAB_VERSION:-} from https://istio.io/latest/docs/setup/getting-started/#download"
}

# The owner in the annotation, or nothing.
owner_of_istio() {
  kube get namespace "$namespace" --ignore-not-found --output='jsonpath={.metadata.annotations.istio-lab/owner}'
}

fail() {
  echo "error: $*" >&2
  exit 1
}
