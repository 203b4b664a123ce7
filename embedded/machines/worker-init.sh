#!/bin/sh
# Process 1 of a worker: container runtime, kube-proxy and kubelet. Environment from /etc/lab/env.
set -eu
# shellcheck source=/dev/null
. /etc/lab/env
# shellcheck source=supervise.sh
. /opt/lab/init/supervise.sh

sysctl -qw net.ipv4.ip_forward=1
mkdir -p /etc/cni/net.d
cp /etc/lab/cni.conflist /etc/cni/net.d/10-lab.conflist
# No pod of before lives. Which address was the last one stays known: a new pod with an old one's would get its requests for
# as long as others have not heard.
mkdir -p /var/lib/cni/networks
find /var/lib/cni/networks -type f ! -name 'last_reserved_ip.*' -delete
# How often containerd has said, in the last thing that it does before, that it serves the kubelet.
serving() { grep -c 'msg="Start streaming server"' /var/log/lab/containerd.log || :; }
: >>/var/log/lab/containerd.log
before=$(serving)
daemon containerd containerd --config /etc/lab/containerd.toml
# The kubelet ends when the runtime's socket is there and tells it "not initialized yet".
until [ "$(serving)" -gt "$before" ] || [ -e /run/lab/containerd.exit ]; do sleep 0.05; done
daemon kube-proxy /opt/lab/bin/kube-proxy --config /etc/lab/kube-proxy.yaml --hostname-override="$NODE"
daemon kubelet /opt/lab/bin/kubelet --config /etc/lab/kubelet.yaml --kubeconfig /etc/lab/kubelet.kubeconfig \
  --hostname-override="$NODE" --node-ip="$ADDRESS"

reap
