#!/bin/sh
# Makes the mounts of the node in a mount namespace of its own, then holds that: $1 is the folder of the cluster.
set -e
state=$1
# Cgroups as the machine has them, below a /sys of this network namespace.
mkdir -p "$state/cgroups"
mount --rbind /sys/fs/cgroup "$state/cgroups"
mount -t sysfs sysfs /sys
mount --rbind "$state/cgroups" /sys/fs/cgroup
umount -R -l "$state/cgroups"
# A bpffs of its own: what is pinned goes with the node.
mount -t bpf bpf /sys/fs/bpf
for fs in debugfs:/sys/kernel/debug tracefs:/sys/kernel/tracing securityfs:/sys/kernel/security; do
    mount -t "${fs%%:*}" "${fs%%:*}" "${fs#*:}" 2>/dev/null || true
done
bind() {
    mkdir -p "$1" "$2"
    mount --bind "$1" "$2"
}
bind "$state/kubelet" /var/lib/kubelet
mkdir -p /var/lib/kubelet/static
bind "$state/pod-logs" /var/log/pods
bind "$state/container-logs" /var/log/containers
bind "$state/containerd-state" /run/containerd
bind "$state/cni" /etc/cni/net.d
bind "$state/cni-state" /var/lib/cni
mount -t tmpfs np-netns /run/netns
mkdir -p "$state/etcd"
mount -t tmpfs -o size=512m np-etcd "$state/etcd"
# The kubelet sets these for the whole machine: it is shown files that have its values already.
mkdir -p "$state/sysctl"
shadow() {
    file=$state/sysctl/$(echo "$1" | tr / _)
    echo "$2" >"$file"
    mount --bind "$file" "/proc/sys/$1"
}
shadow vm/overcommit_memory 1
shadow vm/panic_on_oom 0
shadow kernel/panic 10
shadow kernel/panic_on_oops 1
shadow kernel/keys/root_maxkeys 1000000
shadow kernel/keys/root_maxbytes 25000000
sysctl -qw net.ipv4.ip_forward=1
# The last: what is taken away above is to be taken away here only.
mount --make-rshared /
touch "$state/ready"
exec sleep infinity
