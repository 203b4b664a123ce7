#!/bin/sh
# Process 1 of the control plane: etcd and the three Kubernetes servers. Environment from /etc/lab/env.
set -eu
# shellcheck source=/dev/null
. /etc/lab/env
# shellcheck source=supervise.sh
. /opt/lab/init/supervise.sh
pki=/etc/lab/pki

# etcd has one member, on loopback: only the API server uses it.
daemon etcd etcd --name lab --data-dir /var/lib/etcd --logger zap \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380

# Aggregator routing calls webhooks at pod addresses. This machine has routes to pods, and no kube-proxy. On a
# slow host the API server ends: its first check of addresses and ports is limited to a minute.
persistent kube-apiserver /opt/lab/bin/kube-apiserver \
  --advertise-address="$ADDRESS" --bind-address=0.0.0.0 --secure-port=6443 \
  --etcd-servers=http://127.0.0.1:2379 --storage-media-type=application/vnd.kubernetes.protobuf \
  --service-cluster-ip-range="$SERVICE_CIDR" --authorization-mode=Node,RBAC \
  --enable-admission-plugins=NodeRestriction --allow-privileged=true \
  --enable-aggregator-routing=true --kubelet-preferred-address-types=InternalIP \
  --client-ca-file=$pki/ca.crt --tls-cert-file=$pki/apiserver.crt --tls-private-key-file=$pki/apiserver.key \
  --kubelet-certificate-authority=$pki/ca.crt \
  --kubelet-client-certificate=$pki/apiserver-kubelet.crt --kubelet-client-key=$pki/apiserver-kubelet.key \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file=$pki/service-account.pub \
  --service-account-signing-key-file=$pki/service-account.key \
  --profiling=false

until_served 127.0.0.1
# On a slow host these two end before the API server is ready: they wait about ten seconds for it.
persistent kube-controller-manager /opt/lab/bin/kube-controller-manager \
  --kubeconfig=/etc/lab/controller-manager.kubeconfig --leader-elect=false \
  --use-service-account-credentials=true --service-account-private-key-file=$pki/service-account.key \
  --root-ca-file=$pki/ca.crt --cluster-signing-cert-file=$pki/ca.crt --cluster-signing-key-file=$pki/ca.key \
  --profiling=false

persistent kube-scheduler /opt/lab/bin/kube-scheduler \
  --kubeconfig=/etc/lab/scheduler.kubeconfig --leader-elect=false --profiling=false

reap
