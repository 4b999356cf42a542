#!/bin/sh
# Usage: behind.sh CACHE COMMAND...
#
# Runs a command in a pod's network whose names go through a cache of its own: dnsmasq, unbound, systemd-resolved on 127.0.0.1
# in front of the pod's nameserver, or nscd in front of the C library.
set -eu

cache=$1
shift
directory=$(mktemp -d)
daemon=
trap 'kill $daemon; wait $daemon 2>/dev/null || :; rm -rf "$directory"' EXIT
server=$(sed -n 's/^nameserver //p' /etc/resolv.conf | head -n 1)

case $cache in
  dnsmasq)
    address=127.0.0.1
    dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --pid-file --user=root --bind-interfaces \
      --listen-address=$address --server="$server" &
    ;;
  unbound)
    address=127.0.0.1
    cat >"$directory/unbound.conf" <<EOF
server:
  directory: "$directory"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  interface: $address
  domain-insecure: "."
  local-zone: "10.in-addr.arpa" nodefault
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: $server
EOF
    unbound -d -c "$directory/unbound.conf" &
    ;;
  systemd-resolved)
    address=127.0.0.53
    mkdir -p /run/systemd
    mount -t tmpfs tmpfs /run/systemd # ours alone, as is all that is mounted in the namespaces of `ip netns exec`
    mkdir -p /etc/systemd
    chmod 755 /run/systemd
    printf '%s\n' '[Resolve]' "DNS=$server" 'FallbackDNS=' 'LLMNR=no' 'MulticastDNS=no' 'DNSSEC=no' >"$directory/resolved.conf"
    touch "$directory/empty"
    mount -t tmpfs tmpfs /etc/systemd
    cp "$directory/resolved.conf" /etc/systemd/resolved.conf
    systemd-resolved &
    ;;
  nscd)
    address=$server
    mkdir -p /var/run/nscd /var/cache/nscd
    mount -t tmpfs tmpfs /var/run/nscd
    mount -t tmpfs tmpfs /var/cache/nscd
    printf '%s\n' 'enable-cache hosts yes' 'positive-time-to-live hosts 60' 'negative-time-to-live hosts 20' \
      'persistent hosts no' 'shared hosts no' 'check-files hosts no' >"$directory/nscd.conf"
    nscd --foreground --config-file "$directory/nscd.conf" &
    ;;
esac
daemon=$!
sed "s/^nameserver .*/nameserver $address/" /etc/resolv.conf >"$directory/resolv.conf"
mount --bind "$directory/resolv.conf" /etc/resolv.conf
sleep 1 # none of them says when it answers
"$@"
