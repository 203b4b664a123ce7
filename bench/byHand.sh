#!/bin/sh
# The article's lab by a plain script, for the benchmark to compare the Pulumi program with.
#
#   byHand.sh up              install Istio, the app and its routes, push haproxy.cfg, wait for the first 200
#   byHand.sh shift 20 80     weights of v116 and v117
#   byHand.sh down            remove everything, restore the load balancer's previous file
#
# Expects istioctl, kubectl, ssh and curl on PATH, an empty cluster in KUBECONFIG, and on the load balancer
# HAProxy under systemd and `sudo -n`. In the environment:
#   NAMESPACE                     namespace of the app
#   ISTIO_FILE                    IstioOperator file: profile, hub, tag, values
#   IMAGE_V116, IMAGE_V117        images of the two versions
#   PAGE_V116, PAGE_V117          their pages, one line each
#   LB_HOST, LB_PORT, LB_USER     the load balancer
#   LB_KEY, LB_KNOWN_HOSTS        files: private key, host key
set -eu

host=nginx.hung.org.hk
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

main() {
  case "${1-}" in
  up) up ;;
  shift) shift_weights "$2" "$3" ;;
  down) down ;;
  *)
    echo "usage: $0 up | shift V116 V117 | down" >&2
    exit 2
    ;;
  esac
}

up() {
  istioctl install -y -f "$ISTIO_FILE"
  kubectl label namespace "$NAMESPACE" istio-injection=enabled --overwrite
  objects | kubectl apply --namespace "$NAMESPACE" -f -
  kubectl wait --namespace "$NAMESPACE" --for=condition=Available --timeout=120s \
    deployment/nginx-v116 deployment/nginx-v117
  push_haproxy
  until curl --fail --silent --output /dev/null --header "Host: $host" "http://$LB_HOST/echo/test.txt"; do
    sleep 0.1
  done
}

objects() {
  sed -e "s|IMAGE_V116|$IMAGE_V116|" -e "s|IMAGE_V117|$IMAGE_V117|" \
    -e "s|PAGE_V116|$PAGE_V116|" -e "s|PAGE_V117|$PAGE_V117|" "$here/byHand.yaml"
}

push_haproxy() {
  port=$(kubectl get service istio-ingressgateway --namespace istio-system \
    --output 'jsonpath={.spec.ports[?(@.name=="http2")].nodePort}')
  {
    cat "$here/byHand.haproxy.cfg"
    kubectl get nodes \
      --output 'jsonpath={range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}' |
      sed "s/^\(.*\) \(.*\)$/    server \1 \2:$port/"
  } >"$work/haproxy.cfg"
  on_load_balancer 'cat >byHand.cfg && sudo -n haproxy -c -q -f byHand.cfg &&
    sudo -n cp --no-clobber /etc/haproxy/haproxy.cfg /etc/haproxy/haproxy.cfg.byHand &&
    sudo -n install -m 644 byHand.cfg /etc/haproxy/haproxy.cfg &&
    rm byHand.cfg &&
    sudo -n systemctl reload-or-restart haproxy' <"$work/haproxy.cfg"
}

shift_weights() {
  kubectl patch virtualservice nginx --namespace "$NAMESPACE" --type json --patch "[
    {\"op\": \"replace\", \"path\": \"/spec/http/0/route/1/weight\", \"value\": $1},
    {\"op\": \"replace\", \"path\": \"/spec/http/0/route/0/weight\", \"value\": $2}
  ]"
}

down() {
  on_load_balancer 'if [ -e /etc/haproxy/haproxy.cfg.byHand ]; then
    sudo -n mv /etc/haproxy/haproxy.cfg.byHand /etc/haproxy/haproxy.cfg &&
      sudo -n systemctl reload-or-restart haproxy
  fi'
  objects | kubectl delete --ignore-not-found --namespace "$NAMESPACE" -f -
  kubectl label namespace "$NAMESPACE" istio-injection-
  istioctl uninstall --purge -y
  kubectl delete namespace istio-system --ignore-not-found
  for each in $(kubectl get namespaces --output 'jsonpath={.items[*].metadata.name}'); do
    kubectl delete configmap istio-ca-root-cert istio-ca-crl --namespace "$each" --ignore-not-found
  done
}

on_load_balancer() {
  # shellcheck disable=SC2046 # one word each
  ssh $(ssh_options) -p "$LB_PORT" "$LB_USER@$LB_HOST" "$1"
}

ssh_options() {
  echo "-i $LB_KEY -o UserKnownHostsFile=$LB_KNOWN_HOSTS -o BatchMode=yes -o StrictHostKeyChecking=yes"
}

main "$@"
