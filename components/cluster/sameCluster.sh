#!/bin/sh
# Fails when kubeconfig and context lead to another cluster than the one that the stack was made on. From the
# environment:
#   ISTIO_LAB_CLUSTER    UID of that cluster's namespace kube-system; without it nothing is compared
#   KUBECONFIG           as kubectl reads it; optional
#   ISTIO_LAB_CONTEXT    context of the kubeconfig; optional
#
#   sh sameCluster.sh
#
# A cluster that does not answer passes: whatever is deleted in it reports that, and deletes nothing
# elsewhere.
set -eu

context=${ISTIO_LAB_CONTEXT:-}
[ -n "${ISTIO_LAB_CLUSTER:-}" ] || exit 0
found=$(kubectl ${context:+"--context=$context"} get namespace kube-system --request-timeout=10s \
  --output='jsonpath={.metadata.uid}' 2>/dev/null) || exit 0
[ "$found" != "$ISTIO_LAB_CLUSTER" ] || exit 0
server=$(kubectl ${context:+"--context=$context"} config view --minify --output='jsonpath={.clusters[0].cluster.server}')
cat >&2 <<TEXT
error: ${KUBECONFIG:-~/.kube/config}, context ${context:-the current one}, leads to another cluster than the one that this stack was made on: $server has the UID $found in namespace kube-system, and the other one had $ISTIO_LAB_CLUSTER. Nothing more is deleted. Set kubeconfig and context back to that cluster, and run pulumi destroy again; if it is gone for good, forget its resources: pulumi state delete --all --yes
TEXT
exit 1
