# shellcheck shell=sh
# Finds what would be lost with Istio and does not belong to this stack; sourced by uninstall.sh, after
# common.sh.
# shellcheck disable=SC2154 # namespace is set in common.sh, crds and kinds in uninstall.sh

# What istioctl makes has this label.
istio_label=install.operator.istio.io/owning-resource
# Pods of the app, and no gateways.
sidecar_label="security.istio.io/tlsMode,!$istio_label"

# What holds Istio, one a line: whatever uses it, and whatever another owner has in its namespace. Rules of
# the namespace and Istio's own input (cacerts) hold the namespace, but not Istio.
holders_of_istio() {
  users=$(users_of_istio)
  others=$(others_in_namespace)
  unanswered=$(unanswered_apis)
  echo "$others" |
    grep -v -E '^(ResourceQuota|LimitRange|NetworkPolicy|Role|RoleBinding|ServiceAccount) ' |
    grep -v '^Secret [^ ]*/cacerts$' |
    printf '%s\n%s\n%s\n' "$users" "$(cat)" "$unanswered" | sed '/^$/d' | sort -u
}

# Objects of Istio's kinds that istioctl did not make, Gateways of the Gateway API, other control planes, and
# pods with a sidecar. An object that is being deleted holds nothing.
users_of_istio() {
  candidates=$(candidates)
  echo "$candidates" | sed -n 's/ $//p' | grep -v -x "Deployment $namespace/istiod" || true
}

# One a line: KIND NAMESPACE/NAME, and the time of its deletion.
candidates() {
  line='{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.deletionTimestamp}{"\n"}{end}'
  if [ -n "$kinds" ]; then
    kube get "$kinds" --all-namespaces --ignore-not-found \
      --selector="!$istio_label" \
      --output="jsonpath={range .items[*]}$line"
  fi
  if echo "$crds" | grep -q -x 'gateways\.gateway\.networking\.k8s\.io'; then
    gateways=$(kube get gateways.gateway.networking.k8s.io --all-namespaces \
      --output="jsonpath={range .items[*]}{.spec.gatewayClassName} $line")
    echo "$gateways" | sed -n 's/^istio[^ ]* //p'
  fi
  kube get deployments --all-namespaces --selector=app=istiod --output="jsonpath={range .items[*]}$line"
  # A purge removes the workloads of every IstioOperator. This stack's has no name, which istioctl labels as
  # unknown.
  kube get daemonsets,deployments --all-namespaces --ignore-not-found \
    --selector="$istio_label,$istio_label notin (unknown)" --output="jsonpath={range .items[*]}$line"
  gateways_without_operator
  kube get pods --all-namespaces --selector="$sidecar_label" \
    --output="jsonpath={range .items[*]}$line"
}

# Gateways of another IstioOperator without a name, which istioctl labels as it labels this stack's own. A
# claim of a previous version does not know the latter.
gateways_without_operator() {
  [ -n "${ISTIO_LAB_GATEWAYS:-}" ] || return 0
  unnamed=$(kube get deployments --all-namespaces --selector="$istio_label=unknown" \
    --output="jsonpath={range .items[*]}$line")
  echo "$unnamed" | awk -v own=" $ISTIO_LAB_GATEWAYS " '
    index(own, " " $2 " ") == 0 && $2 !~ /\/istiod(-|$)/'
}

# Everything in namespace istio-system that neither Istio nor this stack nor Kubernetes itself made, one a
# line.
others_in_namespace() {
  found=$(kube get "$(kinds_in_namespaces)" --namespace="$namespace" --ignore-not-found \
    --selector="!$istio_label,!istio.io/config,!cattle.io/creator" \
    --output='jsonpath={range .items[*]}{.kind}{"\t"}{.metadata.name}{"\t"}{.type}{"\t"}{.metadata.deletionTimestamp}{.metadata.ownerReferences[0].kind}{.metadata.annotations.control-plane\.alpha\.kubernetes\.io/leader}{"\n"}{end}') ||
    fail "not all objects in namespace $namespace can be listed (the error above), so that Istio stays;" \
      "where the webhook that converts a kind is gone, repair it, or delete the kind's" \
      "CustomResourceDefinition, and run pulumi destroy again"
  echo "$found" | awk -F '\t' -v namespace="$namespace" '
    $1 == "" || $4 != "" { next } # being deleted, or deleted with its owner, or a lock of istiod
    $1 ~ /^(Event|Lease|Endpoints|EndpointSlice|PodMetrics)$/ { next }
    $1 == "ConfigMap" && $2 ~ /^(kube-root-ca|openshift-service-ca)\.crt$/ { next }
    $1 == "ServiceAccount" && $2 ~ /^(default|builder|deployer)$/ { next }
    $1 == "RoleBinding" && $2 ~ /^system:/ { next }
    $1 == "Secret" && $3 ~ /^(istio\.io\/|kubernetes\.io\/(service-account-token|dockercfg)$)/ { next }
    { print $1 " " namespace "/" $2 }'
}

# With commas between. Istio's own kinds are among $kinds.
kinds_in_namespaces() {
  # An API that does not answer is an error here, and the kinds of all others are printed all the same.
  known=$(kube api-resources --namespaced --verbs=list --output=name 2>/dev/null) || [ -n "$known" ] ||
    fail "kubectl api-resources prints nothing; try again later"
  echo "$known" | grep -v -E '\.istio\.io$|^events|^endpoints$|metrics\.k8s\.io$' | paste -s -d , -
}

# Aggregated APIs that do not answer, one a line. Those of metrics hold no objects.
unanswered_apis() {
  services=$(broken_apiservices)
  echo "$services" | grep -v -e '^$' -e 'metrics\.k8s\.io$' |
    sed 's/.*/APIService &, which does not answer (repair it, or: kubectl delete apiservice &)/' || true
}

broken_apiservices() {
  services=$(kube get apiservices --output='jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Available")].status}{"\n"}{end}')
  echo "$services" | sed -n 's/ False$//p'
}

# Why Kubernetes does not finish the deletion of the namespace, and the commands that let it.
what_holds_namespace() {
  broken=$(broken_apiservices)
  for service in $broken; do
    echo "APIService $service does not answer (repair it, or: kubectl delete apiservice $service)"
  done
  # shellcheck disable=SC2016 # the quotes are part of what is printed
  kube get "$(kinds_in_namespaces)" --namespace="$namespace" --ignore-not-found \
    --output='jsonpath={range .items[?(@.metadata.finalizers)]}{.kind}{"\t"}{.metadata.name}{"\t"}{.metadata.finalizers[*]}{"\n"}{end}' |
    awk -F '\t' -v namespace="$namespace" '{
      print $1 " " $2 " waits for its finalizers: " $3 \
        " (if their controller is gone: kubectl patch " $1 " " $2 " --namespace=" namespace \
        " --type=merge --patch=\x27{\"metadata\":{\"finalizers\":null}}\x27)" }'
  echo "look with: kubectl get namespace $namespace --output=yaml"
}

# One line of several.
listed() {
  echo "$1" | paste -s -d , - | sed 's/,\([^ ]\)/, \1/g'
}
