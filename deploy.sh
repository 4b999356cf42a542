#!/bin/sh
# Installs istio-discovery into a cluster with Helm, or removes it. See usage() and deploy/README.md.
set -eu

release=istio-discovery
chart=$(cd "$(dirname "$0")" && pwd)/deploy/chart
record=app.kubernetes.io/component=cluster-dns # label of what is kept of the cluster DNS as it was
made_here=istio-discovery.io/made-by=deploy.sh # label of a namespace that this script made, and may remove

usage() {
  cat <<'END'
Usage: ./deploy.sh [OPTION...]

Installs istio-discovery (again: changes what is installed), makes CoreDNS send to it, and sees that it does. If CoreDNS
does not, or if look-ups fail meanwhile, CoreDNS gets back what it had.

  --mode MODE          collector (default): CoreDNS sends to a Service, its pods stay as they are
                       sidecar: a container is added to each pod of CoreDNS
  --namespace NAME     namespace to install into (default: istio-discovery); made, with Pod Security
                       "restricted", if it is not there
  --context NAME       context of the kubeconfig (default: the current one)
  --kubeconfig FILE    kubeconfig (default: as kubectl)
  --image IMAGE        image to run: REPOSITORY[:TAG][@sha256:DIGEST]
  --values FILE        values of the chart; repeatable, the last wins
  --set KEY=VALUE      one value of the chart; repeatable, stronger than --values
  --timeout DURATION   how long to wait until all pods are ready (default: 10m)
  --no-wait            do not wait for the pods
  --dry-run            print every object and what would be changed in CoreDNS, as a diff; change nothing
  --yes                do not ask
  --force              install although the doctor says that nothing would be learnt, or that CoreDNS of this cluster
                       is not to be changed directly; --yes alone stops there
  --uninstall          remove the installation, what it has learnt, and the namespace if this script made it
  --keep-data          with --uninstall: keep the volume of Redis, and the namespace
  --help               this text

Needs kubectl and Helm 3.15 or newer on the PATH. Exit codes: 0 done, 1 failed, 2 called wrongly.
END
}

say() {
  printf '%s\n' "$@"
}

fail() {
  printf 'deploy.sh: %s\n' "$*" >&2
  exit 1
}

refuse() {
  printf 'deploy.sh: %s (see ./deploy.sh --help)\n' "$*" >&2
  exit 2
}

# --- tools, with the cluster that was chosen

kube() {
  kubectl ${context:+"--context=$context"} "$@"
}

helm_() {
  helm ${context:+"--kube-context=$context"} --namespace "$namespace" "$@"
}

# For commands to be copied: the context, if it is not the current one anyway.
shown_context() {
  if [ -n "$chosen_context" ]; then printf ' --context=%s' "$chosen_context"; fi
}

check_tools() {
  command -v kubectl >/dev/null || fail 'kubectl is not on the PATH; see https://kubernetes.io/docs/tasks/tools/'
  command -v helm >/dev/null || fail 'helm is not on the PATH; see https://helm.sh/docs/intro/install/'
  version=$(helm version --template '{{.Version}}' 2>/dev/null) || fail "helm does not tell its version: $(command -v helm)"
  case $version in
    v[012].* | v3.[0-9].* | v3.1[0-4].*) fail "Helm 3.15 or newer is needed, found $version at $(command -v helm)" ;;
  esac
}

check_cluster() {
  chosen_context=$context
  contexts=$(kubectl config get-contexts -o name 2>&1) || fail "kubectl cannot read the kubeconfig: $contexts"
  if [ -n "$context" ]; then
    printf '%s\n' "$contexts" | grep -qxF -e "$context" ||
      fail "there is no context $context in the kubeconfig; found: $(printf '%s\n' "$contexts" | sort | tr '\n' ' ')"
  else
    context=$(kubectl config current-context 2>/dev/null) ||
      fail "the kubeconfig has no current context; choose one with --context; found: $(printf '%s\n' "$contexts" | sort | tr '\n' ' ')"
  fi
  # The address is asked for only to be shown; a kubeconfig without one fails in the next line.
  server=$(kube config view --minify -o 'jsonpath={.clusters[0].cluster.server}' 2>/dev/null || true)
  answer=$(kube get --raw /version --request-timeout=10s 2>&1) ||
    fail "the API server of context $context (${server:-no address}) does not answer: $answer"
  server_version=$(printf '%s\n' "$answer" | sed -n 's/.*"gitVersion": *"\([^"]*\)".*/\1/p')
}

# exists KIND [NAME] [OPTION...]: fails the script if the API server cannot tell.
exists() {
  found=$(kube get "$@" --ignore-not-found -o name) || fail "cannot read $1 $2 (see above)"
  [ -n "$found" ]
}

has_release() {
  releases=$(helm_ list --all --short --filter "^$release\$") || fail "helm cannot list what is installed in $namespace (see above)"
  [ -n "$releases" ]
}

ask() {
  [ -z "$yes" ] || return 0
  [ -t 0 ] || refuse 'standard input is no terminal to ask on; say --yes to go on without being asked'
  printf '%s [y/N] ' "$1"
  read -r answer || answer=
  case $answer in
    y | Y | yes) ;;
    *) fail 'stopped; nothing was changed' ;;
  esac
}

# --- the program itself, where it is built and Node is there to run it

main=${chart%/deploy/chart}/dist/main.js

has_program() {
  command -v node >/dev/null && [ -f "$main" ]
}

program() {
  node "$main" "$@" ${context:+"--context=$context"} --namespace="$namespace"
}

# doctor: shows its report, and keeps its verdict in $verdict (see DoctorReport in src/install/doctor.ts); empty where it has none.
doctor() {
  has_program || return 1
  # Its exit status says only whether there is a problem.
  say "" "$(program doctor || true)" ""
  verdict=$(program doctor --format json 2>/dev/null | node -p 'JSON.parse(fs.readFileSync(0)).verdict' 2>/dev/null) || verdict=
}

# check_verdict HELM-ARGUMENT...: an installation that is pointless, or that its Job would refuse, is not begun.
check_verdict() {
  [ -z "$force" ] || return 0
  case $verdict in
    impossible) fail 'stopped, nothing was changed: nothing would be learnt (see above); --force installs all the same' ;;
    by-hand)
      [ -z "$(render templates/installer.yaml "$@")" ] ||
        fail 'stopped, nothing was changed: CoreDNS of this cluster is not to be changed directly. Install with --set clusterDns.configure=false, then run the commands above; --force lets the Job try'
      ;;
  esac
}

# render TEMPLATE HELM-ARGUMENT...: the objects of a template of the chart; nothing if there are none with these values.
render() {
  template=$1
  shift
  helm_ template "$release" "$chart" --show-only "$template" --kube-version "$server_version" "$@" 2>/dev/null || true
}

# data_of KEY: from objects on standard input, what a ConfigMap has under a key.
data_of() {
  kube create --dry-run=client -f - -o "jsonpath={.data.$1}"
}

# --- what this cluster has

# Images of the cluster DNS, one a line; nothing if there is none or we may not know.
dns_images() {
  kube -n kube-system get deployments,daemonsets -l k8s-app=kube-dns --ignore-not-found \
    -o 'jsonpath={range .items[*].spec.template.spec.containers[*]}{.image}{"\n"}{end}' 2>/dev/null || true
}

describe_dns() {
  images=$(dns_images)
  case $images in
    *coredns*) say "Cluster DNS:  $(printf '%s\n' "$images" | grep coredns | sort -u | tr '\n' ' ')" ;;
    '') say 'Cluster DNS:  none found in kube-system with the label k8s-app=kube-dns' ;;
    *)
      verdict=impossible
      say "Cluster DNS:  no CoreDNS, but $(printf '%s\n' "$images" | sort -u | tr '\n' ' ')(not supported by this version)"
      ;;
  esac
  if [ -n "$(kube -n kube-system get daemonset node-local-dns --ignore-not-found -o name 2>/dev/null || true)" ]; then
    say 'Attention:    NodeLocal DNSCache is installed: external names do not pass CoreDNS then, and are not learnt'
  fi
  if [ -z "$(kube get customresourcedefinition serviceentries.networking.istio.io --ignore-not-found -o name 2>/dev/null || true)" ]; then
    say 'Attention:    Istio'"'"'s ServiceEntry was not found in this cluster: hosts are learnt, but nothing can be written'
  fi
}

# address_of_collector: as it stands in a Corefile, `ADDRESS:PORT`; nothing if there is no collector.
address_of_collector() {
  kube -n "$namespace" get services --ignore-not-found \
    -l "app.kubernetes.io/instance=$release,app.kubernetes.io/component=collector" \
    -o 'jsonpath={range .items[*]}{.spec.clusterIP} {.spec.ports[0].port}{"\n"}{end}' |
    while read -r address port; do
      case $address in
        *:*) printf '[%s]:%s\n' "$address" "$port" ;;
        *) printf '%s:%s\n' "$address" "$port" ;;
      esac
    done
}

# --- install

namespace_manifest() {
  cat <<END
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels:
    ${made_here%%=*}: ${made_here#*=}
    pod-security.kubernetes.io/enforce: restricted
END
}

# install_release HELM-ARGUMENT...
install_release() {
  helm_ upgrade "$release" "$chart" --install "$@"
}

# --image as values of the chart: image_values prints them, comma-separated, for --set-string.
image_values() {
  rest=${image%%@*}
  digest=
  [ "$rest" = "$image" ] || digest=${image#*@}
  name=${rest##*/}
  tag=
  repository=$rest
  case $name in
    *:*)
      tag=${name##*:}
      repository=${rest%:*}
      ;;
  esac
  printf 'image.repository=%s,image.tag=%s,image.digest=%s' "$repository" "$tag" "$digest"
}

install() {
  say "Context:      $context ($server)"
  say "Namespace:    $namespace"
  say "Image:        ${image:-as the values of the chart say (the nodes must be able to pull it, or have it)}"
  doctor || describe_dns
  if [ -n "$dry_run" ]; then
    describe_change "$@"
    exists namespace "$namespace" || { say '---' && namespace_manifest; }
    install_release "$@" --dry-run=server --hide-secret
    return
  fi
  check_verdict "$@"
  ask "Install istio-discovery?"
  wait_for_removal
  if ! exists namespace "$namespace"; then
    namespace_manifest | kube create -f - || fail "could not make the namespace $namespace (see above)"
  fi
  # The notes of the chart say the same as next_steps, which knows the address.
  [ -n "$no_wait" ] || set -- "$@" --wait
  install_release "$@" --timeout "$timeout" --hide-notes || {
    installer_log
    fail "helm did not install it (see above); to look at the pods: kubectl$(shown_context) -n $namespace get pods"
  }
  next_steps
}

# wait_for_removal: nothing can be made in a namespace that is on its way out.
wait_for_removal() {
  phase=$(kube get namespace "$namespace" --ignore-not-found -o 'jsonpath={.status.phase}') ||
    fail "cannot read namespace $namespace (see above)"
  [ "$phase" = Terminating ] || return 0
  say "Waiting for the end of the namespace $namespace that was removed before ..."
  kube wait --for=delete "namespace/$namespace" --timeout "$timeout" >/dev/null ||
    fail "the namespace $namespace does not go away (see above)"
}

# installer_log: what the Job that changes CoreDNS had to say, if it has run.
installer_log() {
  kube -n "$namespace" logs -l app.kubernetes.io/component=installer --tail=20 2>/dev/null || true
}

# describe_change HELM-ARGUMENT...: what the Job below would change in CoreDNS; in words where the program is not built.
describe_change() {
  installer=$(render templates/installer.yaml "$@")
  if [ -z "$installer" ]; then
    say 'CoreDNS stays as it is: clusterDns.configure is off.'
  elif ! has_program; then
    change_in_words
  else
    say 'What the Job below changes in CoreDNS, and --uninstall puts back:'
    files=$(mktemp -d)
    printf '%s\n' "$installer" | data_of 'sidecar\.json' >"$files/sidecar.json"
    render templates/configuration.yaml "$@" | data_of 'config\.yaml' >"$files/config.yaml"
    set -- --config="$files/config.yaml"
    [ ! -s "$files/sidecar.json" ] || set -- "$@" --mode=sidecar --install-sidecar="$files/sidecar.json"
    ! printf '%s\n' "$installer" | grep -q -e --install-redis-service= ||
      set -- "$@" --install-redis-service="$release-redis"
    program install --dry-run --log-level=error "$@" || say '(see above: the Job would fail)'
    rm -r "$files"
  fi
}

change_in_words() {
  cat <<END
CoreDNS, changed by the Job below and put back by --uninstall:
  its Corefile gets one line \`dnstap ENDPOINT full\` in each server block for names outside the cluster, where ENDPOINT is
    mode collector: tcp://ADDRESS:PORT, of the Service $release-collector
    mode sidecar:   unix:///run/istio-discovery/dnstap.sock, and its pods get the container of ConfigMap $release-sidecar
END
}

# is_configured: whether a Job of the chart has changed CoreDNS; it leaves a record of what there was.
is_configured() {
  exists configmaps -l "$record" -n "$namespace"
}

next_steps() {
  at=$(shown_context)
  say ''
  if is_configured; then
    say 'istio-discovery is installed, and every CoreDNS pod sends to it.'
  else
    by_hand
  fi
  cat <<END

See:    kubectl$at get serviceentries -A -l app.kubernetes.io/managed-by=istio-discovery
        kubectl$at -n $namespace exec deployment/istio-discovery-reconciler -- node /app/dist/bundle/main.js hosts
Remove: ./deploy.sh --uninstall
END
}

# by_hand: what is left to do where clusterDns.configure is off.
by_hand() {
  address=$(address_of_collector)
  [ -n "$address" ] || fail "the Service of the collector was not found in namespace $namespace"
  cat <<END
istio-discovery is installed. It learns nothing yet: clusterDns.configure is off, so changing CoreDNS is left to you.

1. ${no_wait:+Wait until all pods are ready: kubectl$at -n $namespace get pods
   }Keep what there is: kubectl$at -n kube-system get configmap coredns -o yaml >coredns-before.yaml
2. Edit the Corefile: kubectl$at -n kube-system edit configmap coredns
   and add this line inside the server block \`.:53 { ... }\`:

       dnstap tcp://$address full

   Do not save a Corefile with a mistake in it: CoreDNS would go on with the old one, but may not read a corrected one
   until it is restarted. Where CoreDNS is managed (EKS, AKS, RKE2, k3s, OpenShift, ...) its own way applies.
3. CoreDNS reads it within about two minutes if the Corefile has \`reload\`; without it:
       kubectl$at -n kube-system rollout restart deployment coredns

Undo it before you remove istio-discovery.
END
}

# --- uninstall

# A CoreDNS that sends to an address which nobody has any more waits up to 4 s at each start before it serves DNS.
check_corefile() {
  ! is_configured || return 0
  address=$(address_of_collector)
  [ -n "$address" ] || return 0
  corefiles=$(kube -n kube-system get configmaps coredns coredns-custom --ignore-not-found -o 'jsonpath={.items[*].data}') ||
    fail 'cannot read the Corefile (see above), so cannot tell whether CoreDNS still sends to the collector'
  case $corefiles in
    *"tcp://$address"[!0-9]*)
      fail "the Corefile still has the line \`dnstap tcp://$address full\`: remove it (kubectl$(shown_context) -n kube-system edit configmap coredns), wait until CoreDNS has read that (about two minutes), and run this again" ;;
  esac
}

claims() {
  kube -n "$namespace" get persistentvolumeclaims -l "app.kubernetes.io/instance=$release,app.kubernetes.io/component=redis" -o name
}

# What is in the namespace besides what Kubernetes and Istio put into each, and Jobs that are about to go.
others_in_namespace() {
  kube -n "$namespace" get all,configmaps,secrets,persistentvolumeclaims,serviceentries.networking.istio.io -o name 2>/dev/null |
    grep -vxE "configmap/(kube-root-ca\.crt|istio-ca-root-cert|istio-ca-crl)|(job\.batch|pod)/$release-(install|uninstall|repair)(-.*)?" || true
}

remove_namespace() {
  [ -n "$(kube get namespaces -l "$made_here" --field-selector "metadata.name=$namespace" -o name)" ] || return 0
  others=$(others_in_namespace)
  if [ -n "$others" ]; then
    say "The namespace $namespace stays: it holds more than istio-discovery: $(printf '%s\n' "$others" | tr '\n' ' ')"
  else
    kube delete namespace "$namespace" --wait=false
  fi
}

uninstall() {
  say "Context:      $context ($server)"
  say "Namespace:    $namespace"
  if ! exists namespace "$namespace"; then
    say 'Nothing to remove: there is no such namespace.'
    return
  fi
  check_corefile
  if [ -n "$dry_run" ]; then
    if is_configured && has_program; then
      say 'Would put back in CoreDNS:'
      program uninstall --dry-run --log-level=error || say '(see above: the Job would fail)'
    fi
    say 'Would remove:'
    has_release && helm_ get manifest "$release" | kube -n "$namespace" get -f - -o name --ignore-not-found
    [ -n "$keep_data" ] || claims
    return
  fi
  ask "Remove istio-discovery${keep_data:+, but not its data}?"
  if has_release; then
    # Without --wait nobody waits for the pods to end, and the claim of Redis would hang on its pod.
    if [ -n "$no_wait" ]; then set --; else set -- --wait; fi
    helm_ uninstall "$release" --timeout "$timeout" "$@" || {
      installer_log
      fail 'helm did not remove it (see above)'
    }
    # Helm leaves the Job of a hook that failed.
    kube -n "$namespace" delete jobs -l "app.kubernetes.io/instance=$release,app.kubernetes.io/component=installer" --wait=false
  else
    say "No release $release is installed in namespace $namespace."
  fi
  if [ -n "$keep_data" ]; then
    say "Kept: $(claims | tr '\n' ' ')in namespace $namespace"
  else
    for claim in $(claims); do kube -n "$namespace" delete "$claim" --wait=false; done
    remove_namespace
  fi
  cat <<END

istio-discovery is removed. The ServiceEntries it wrote stay, because deleting one can cut off the host that it allows:
  kubectl$(shown_context) get serviceentries -A -l app.kubernetes.io/managed-by=istio-discovery
END
}

# --- options

namespace=$release context='' image='' timeout=10m no_wait='' dry_run='' yes='' force='' uninstall='' keep_data='' verdict=''

# Options for Helm are put behind what is still to be read, so that in the end they are all there is.
left=$#
while [ "$left" -gt 0 ]; do
  option=$1
  shift
  left=$((left - 1))
  case $option in
    --*=*)
      value=${option#*=}
      option=${option%%=*}
      ;;
    --mode | --namespace | --context | --kubeconfig | --image | --values | --set | --timeout)
      [ "$left" -gt 0 ] || refuse "$option needs a value"
      value=$1
      shift
      left=$((left - 1))
      ;;
    *) value='' ;;
  esac
  case $option in
    --mode) set -- "$@" --set "mode=$value" ;;
    --namespace) namespace=$value ;;
    --context) context=$value ;;
    --kubeconfig)
      [ -r "$value" ] || fail "the kubeconfig $value cannot be read"
      KUBECONFIG=$value
      export KUBECONFIG
      ;;
    --image) image=$value ;;
    --values)
      [ -r "$value" ] || fail "the values file $value cannot be read"
      set -- "$@" --values "$value"
      ;;
    --set) set -- "$@" --set "$value" ;;
    --timeout) timeout=$value ;;
    --no-wait) no_wait=yes ;;
    --dry-run) dry_run=yes ;;
    --yes) yes=yes ;;
    --force) force=yes ;;
    --uninstall) uninstall=yes ;;
    --keep-data) keep_data=yes ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) refuse "unknown option $option" ;;
  esac
done

[ -n "$namespace" ] || refuse '--namespace needs a value'
[ -z "$keep_data" ] || [ -n "$uninstall" ] || refuse '--keep-data goes with --uninstall'
[ -z "$image" ] || set -- "$@" --set-string "$(image_values)"

check_tools
check_cluster
if [ -n "$uninstall" ]; then uninstall; else install "$@"; fi
