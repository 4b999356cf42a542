#!/bin/sh
# The commands behind cluster-node.ts, all as root:
#
#   cluster-node.sh link NAME PREFIX              makes the veth pair NAME-host (PREFIX.1/30) and NAME-node, unless it is there
#   cluster-node.sh hold NAME DIRECTORY PREFIX PODCIDR   first process of the node's namespaces: sets it up, then waits
#   cluster-node.sh attach NAME PID               moves NAME-node to the network of a process
#   cluster-node.sh remove NAME                   removes what is left when the node's processes have ended
set -eu

cgroups=/sys/fs/cgroup

link() {
  ip link add "$1-host" type veth peer name "$1-node"
  ip address add "$2.1/30" dev "$1-host"
  ip link set "$1-host" up
}

# The hierarchies of version 1, or the one of version 2.
make_cgroups() {
  if [ -e "$cgroups/cgroup.controllers" ]; then
    for controller in cpuset cpu io memory pids hugetlb; do
      echo "+$controller" >"$cgroups/cgroup.subtree_control" 2>/dev/null || true
    done
    mkdir -p "$cgroups/$1"
    return
  fi
  for hierarchy in "$cgroups"/*/; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    [ -e "$hierarchy/cgroup.controllers" ] || mkdir -p "$hierarchy$1"
  done
  if [ -d "$cgroups/cpuset/$1" ]; then
    # A new group of version 1 has no processors and no memory.
    cat "$cgroups/cpuset/cpuset.cpus" >"$cgroups/cpuset/$1/cpuset.cpus"
    cat "$cgroups/cpuset/cpuset.mems" >"$cgroups/cpuset/$1/cpuset.mems"
  fi
}

# The kubelet sets these for the whole machine: it is shown that they are set already.
pretend_sysctls() {
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=$1/${setting%=*}
    mkdir -p "$(dirname "$file")"
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${setting%=*}"
  done
}

hold() {
  name=$1 directory=$2 prefix=$3 pods=$4
  make_cgroups "$name"
  mount --make-rshared / # a group of this namespace only
  hostname node
  # What node programs keep outside the directories that they are told.
  mount -t tmpfs -o mode=755 node /run
  mount -t tmpfs -o mode=755 node /var/lib
  mount -t tmpfs -o mode=755 node /var/log
  pretend_sysctls "$directory/sysctl"
  until ip link show "$name-node" >/dev/null 2>&1; do sleep 0.05; done
  ip link set lo up
  ip link set "$name-node" name eth0
  ip address add "$prefix.2/30" dev eth0
  ip link set eth0 up
  ip route add default via "$prefix.1"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # With it, what pods of a bridge say to each other passes the rules for Services too.
  if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; fi
  nft -f - <<END
table ip node {
  chain postrouting {
    type nat hook postrouting priority 100
    ip saddr $pods oifname eth0 masquerade
  }
}
END
  touch "$directory/is-set-up"
  trap 'exit 0' TERM INT
  while :; do
    sleep 86400 &
    wait $! || true
  done
}

attach() {
  ip link set "$1-node" netns "$2"
}

remove() {
  ip link delete "$1-host" 2>/dev/null || true
  # A group is busy for a moment after the end of its last process.
  for _ in $(seq 100); do
    left=
    for group in "$cgroups/$1" "$cgroups"/*/"$1"; do
      [ -d "$group" ] || continue
      find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      [ ! -d "$group" ] || left=$group
    done
    [ -n "$left" ] || return 0
    sleep 0.1
  done
  echo "still in use: $left" >&2
  return 1
}

"$@"
