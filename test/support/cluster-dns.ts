import { startCoreDns, type CoreDns } from './coredns.js';
import { freePort } from './free-port.js';
import type { KubeApiserver } from './kube-apiserver.js';
import { partPath } from './parts.js';
import { acceptsTcp, answersHttp } from './probe.js';
import { asRoot, rootPrefix } from './root.js';

/** @see startClusterDns */
export interface ClusterDnsOptions {
  readonly apiServer: Pick<KubeApiserver, 'kubeconfigFile'>;
  /** `HOST:PORT` of the DNS server that names outside the cluster are forwarded to. */
  readonly upstream: string;
  /** A free port of 127.0.0.1 unless told; pods (pods.ts) need port 53 of their bridge's address. */
  readonly host?: string;
  readonly port?: number;
  /** Endpoint of the tap, such as `unix:///run/dnstap.sock`; without it CoreDNS has no dnstap line. */
  readonly dnstap?: string;
  /** The block of the dnstap line, such as `extra "{/kubernetes/client-namespace}"`. */
  readonly dnstapOptions?: readonly string[];
  /** More lines for the server block, such as `log` or `metadata`. */
  readonly extraLines?: readonly string[];
  /** The mode of the kubernetes plugin's `pods`; kubeadm's unless told. */
  readonly pods?: 'insecure' | 'verified' | 'disabled';
  readonly part?: 'coredns' | 'coredns-1.11';
}

/** The cluster DNS that runs. */
export interface ClusterDns extends CoreDns {
  readonly host: string;
  readonly port: number;
  /** Where its metrics are: `http://HOST:PORT/metrics`. */
  readonly metricsUrl: string;
  readonly corefile: string;
}

/** Only root may listen below it, unless a program has the capability. */
const FIRST_ORDINARY_PORT = 1024;

/** Starts a real CoreDNS with kubeadm's stock Corefile, talking to a real API server. */
export async function startClusterDns(options: ClusterDnsOptions): Promise<ClusterDns> {
  const host = options.host ?? '127.0.0.1';
  const port = options.port ?? (await freePort());
  const [healthPort, readyPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const corefile = clusterCorefile({ ...options, host, port }, { healthPort, readyPort, metricsPort });
  const part = options.part ?? 'coredns';
  if (port < FIRST_ORDINARY_PORT) await allowPrivilegedPorts(await partPath(part));
  const coredns = await startCoreDns({
    name: 'cluster-dns',
    part,
    corefile,
    ready: async () => {
      // Only `ready` knows whether the kubernetes plugin has read the cluster, but it says so before CoreDNS listens.
      await acceptsTcp(host, port);
      return answersHttp(`http://127.0.0.1:${readyPort}/ready`);
    },
  });
  return { ...coredns, host, port, corefile, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics` };
}

interface Ports {
  readonly healthPort: number;
  readonly readyPort: number;
  readonly metricsPort: number;
}

/**
 * kubeadm's Corefile with what a test has to change: the addresses, a kubeconfig instead of the pod's own credentials, no
 * lameduck (which delays every stop by five seconds), and our line.
 *
 * @see `kubernetes/kubernetes` cmd/kubeadm/app/phases/addons/dns/manifests.go
 */
function clusterCorefile(
  options: ClusterDnsOptions & { readonly host: string; readonly port: number },
  { healthPort, readyPort, metricsPort }: Ports,
): string {
  return `.:${options.port} {
    bind ${options.host}
    errors
    health 127.0.0.1:${healthPort}
    ready 127.0.0.1:${readyPort}
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       kubeconfig ${options.apiServer.kubeconfigFile} test
       pods ${options.pods ?? 'insecure'}
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus 127.0.0.1:${metricsPort}
    forward . ${options.upstream} {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
${[...(options.extraLines ?? []), ...dnstapLines(options)].map((line) => `    ${line}\n`).join('')}}
`;
}

function dnstapLines({ dnstap, dnstapOptions = [] }: ClusterDnsOptions): readonly string[] {
  if (dnstap === undefined) return [];
  if (dnstapOptions.length === 0) return [`dnstap ${dnstap} full`];
  return [`dnstap ${dnstap} full {`, ...dnstapOptions.map((option) => `   ${option}`), '}'];
}

async function allowPrivilegedPorts(program: string): Promise<void> {
  if (rootPrefix().length > 0) await asRoot('setcap', 'cap_net_bind_service=+ep', program);
}
