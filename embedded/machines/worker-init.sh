#!/bin/sh
# Process 1 of a worker: container runtime, kube-proxy and kubelet. Environment from /etc/lab/env.
set -eu
# shellcheck source=/dev/null
. /etc/lab/env
# shellcheck source=supervise.sh
. /opt/lab/init/supervise.sh

# The kubelet wants these kernel settings. They are the host's, not the machine's, so it finds them set in
# files that cover the real ones, in this machine only.
cover() { # cover SETTING VALUE
  mkdir -p "/run/sysctl/${1%/*}"
  printf '%s\n' "$2" >"/run/sysctl/$1"
  mount --bind "/run/sysctl/$1" "/proc/sys/$1"
}
cover vm/overcommit_memory 1
cover vm/panic_on_oom 0
cover kernel/panic 10
cover kernel/panic_on_oops 1
cover kernel/keys/root_maxkeys 1000000
cover kernel/keys/root_maxbytes 25000000

sysctl -qw net.ipv4.ip_forward=1
# Only nodes have routes to pods. For all other destinations a pod's packets bear the node's address, as on
# most clusters.
iptables -w -t nat -A POSTROUTING -s "$POD_SUBNET" ! -d "$POD_CIDR" -j MASQUERADE
mkdir -p /etc/cni/net.d
cp /etc/lab/cni.conflist /etc/cni/net.d/10-lab.conflist
# No pod survives a restart, so all pod IPs are released. The allocator's position is kept: a new pod with a
# reused IP would receive traffic that is meant for the old pod.
mkdir -p /var/lib/cni/networks
find /var/lib/cni/networks -type f ! -name 'last_reserved_ip.*' -delete
# How often containerd has logged the last line of its start.
serving() { grep -c 'msg="Start streaming server"' /var/log/lab/containerd.log || :; }
: >>/var/log/lab/containerd.log
before=$(serving)
daemon containerd containerd --config /etc/lab/containerd.toml
# The kubelet would end when the runtime's socket is there, but the runtime answers "not initialized yet".
until [ "$(serving)" -gt "$before" ] || [ -e /run/lab/containerd.exit ]; do sleep 0.05; done
until_served "$API_SERVER"
daemon kube-proxy /opt/lab/bin/kube-proxy --config /etc/lab/kube-proxy.yaml --hostname-override="$NODE"
daemon kubelet /opt/lab/bin/kubelet --config /etc/lab/kubelet.yaml --kubeconfig /etc/lab/kubelet.kubeconfig \
  --hostname-override="$NODE" --node-ip="$ADDRESS"

reap
