#!/bin/sh
# Claims the cluster's Istio for one stack, before anything is installed: namespace istio-system gets the
# annotation istio-lab/owner. Refuses an Istio of another owner, and an istioctl that would install another
# version.
#
#   sh claim.sh        (environment: common.sh)
set -eu
. "$(dirname "$0")/common.sh"

main() {
  need_kubectl
  need_istioctl
  need_same_minor
  refuse_deletion_under_way
  owner=$(annotation_of_claim owner)
  case $owner in
    "$ISTIO_LAB_OWNER")
      echo "$namespace belongs to $owner"
      [ "$(annotation_of_claim namespace)" = existed ] || admit_pods
      return
      ;;
    "") refuse_unclaimed_istio ;;
    *) fail "the Istio in this cluster was installed by stack $owner; to use it from this stack set" \
      "istio.manage to false" ;;
  esac
  # uninstall.sh deletes the namespace only if the claim created it.
  existing=$(kube get namespace "$namespace" --ignore-not-found --output=name)
  kube apply --server-side --field-manager=istio-lab --filename=- <<YAML
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  annotations:
    istio-lab/owner: $ISTIO_LAB_OWNER
${existing:+    istio-lab/namespace: existed}
YAML
  [ -n "$existing" ] || admit_pods
}

# A namespace of the claim's own gets the label that lets Istio's pods in, where the cluster's default for Pod
# Security refuses them. Istio's CNI writes to directories of the node.
admit_pods() {
  volume=
  [ -z "${ISTIO_LAB_CNI:-}" ] || volume="{name: cni, hostPath: {path: /opt/cni/bin}}"
  refusal=$(kube create --dry-run=server --filename=- 2>&1 >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: istio-lab-trial, namespace: $namespace}
spec:
  containers:
    - name: istio
      image: istio
      securityContext:
        {allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 1337, capabilities: {drop: [ALL]}}
  volumes: [$volume]
YAML
  ) && return
  case $refusal in *"violates PodSecurity"*) ;; *) return 0 ;; esac
  kube label namespace "$namespace" pod-security.kubernetes.io/enforce=privileged >/dev/null ||
    fail "the cluster's Pod Security refuses Istio's pods in namespace $namespace, and this user may not" \
      "let them in; have it done:" \
      "kubectl label namespace $namespace pod-security.kubernetes.io/enforce=privileged"
  echo "namespace $namespace gets the label pod-security.kubernetes.io/enforce=privileged, without which" \
    "the cluster's Pod Security would refuse Istio's pods"
}

need_same_minor() {
  client=$(istioctl version --remote=false 2>/dev/null | sed -n 's/.*version: *//p' | head -n 1)
  [ "$(minor "$client")" = "$(minor "$ISTIO_LAB_VERSION")" ] ||
    fail "istioctl on PATH is version ${client:-unknown}, and istio.version is $ISTIO_LAB_VERSION: set" \
      "istio.version to the former, or get the other istioctl from" \
      "https://github.com/istio/istio/releases/tag/$ISTIO_LAB_VERSION"
}

minor() {
  echo "$1" | cut -d . -f 1-2
}

refuse_deletion_under_way() {
  deleted=$(kube get namespace "$namespace" --ignore-not-found --output='jsonpath={.metadata.deletionTimestamp}')
  [ -z "$deleted" ] ||
    fail "namespace $namespace is still being deleted; when it is gone, run this again; what holds it:" \
      "kubectl get namespace $namespace --output=yaml"
}

refuse_unclaimed_istio() {
  found=$(kube get deployments --all-namespaces --selector=app=istiod --output='jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {end}')
  [ -z "$found" ] ||
    fail "there is an Istio in this cluster that this stack did not install (${found% }): set istio.manage" \
      "to false to use it, or uninstall it first"
}

main
