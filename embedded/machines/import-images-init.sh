#!/bin/sh
# Process 1 of a machine that only unpacks: imports the archives of /etc/lab/images into /var/lib/containerd.
set -eu
containerd --config /etc/lab/containerd.toml >/var/log/lab/containerd.log 2>&1 &
containerd=$!
until ctr version >/dev/null 2>&1; do
  kill -0 "$containerd"
  sleep 0.1
done
for archive in /etc/lab/images/*.tar; do
  ctr -n k8s.io images import "$archive"
done
# containerd completes its databases when it ends in order.
kill "$containerd"
wait "$containerd" || :
: >/run/lab/imported
