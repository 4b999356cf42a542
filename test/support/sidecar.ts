import { get } from 'node:http';
import { proxyNode, type Istiod } from './istiod.js';
import type { ClientPod } from './pods.js';
import { partMethods, startPart, type Part } from './process.js';
import { rootPrefix } from './root.js';
import { createTemporaryDirectory } from './temporary-directory.js';

/** An Envoy that runs as the sidecar of a pod. */
export interface Sidecar extends Part {
  /** Asks its admin interface. */
  readonly admin: (path: string) => Promise<string>;
}

/** Where a sidecar takes outbound connections. */
const OUTBOUND_PORT = 15_001;
/** Istio's own choice; what this group sends is not redirected to the sidecar again. */
const PROXY_GROUP = 1337;

/**
 * Starts an Envoy in the pod's network and lets all TCP of the pod go through it, as istio-init and istio-proxy do: what
 * it does comes from istiod alone. DNS is left as it is.
 */
export async function startSidecar(pod: ClientPod, istiod: Istiod): Promise<Sidecar> {
  const directory = createTemporaryDirectory();
  const adminSocket = directory.file('admin.sock');
  const admin = async (path: string): Promise<string> => askSocket(adminSocket, path);
  const isRoot = rootPrefix().length === 0;
  const [user, group] = isRoot ? [0, PROXY_GROUP] : [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const options = ['--concurrency', '1', '--disable-hot-restart', '--drain-time-s', '1', '--log-level', 'warning'];
  const envoy = ['envoy', '--config-yaml', JSON.stringify(bootstrap({ pod, istiod, adminSocket })), ...options];
  const identity = [`--reuid=${user}`, `--regid=${group}`, '--clear-groups'];
  const inPod = [...rootPrefix(), 'ip', 'netns', 'exec', pod.netns];
  const [command, ...args] = [...inPod, 'setpriv', ...identity, ...envoy];
  const part = await startPart({
    name: `envoy of ${pod.namespace}/${pod.name}`,
    command: command ?? '',
    args,
    directory,
    ready: async () => (await admin('/listeners')).includes('virtualOutbound'),
    stopTimeoutMs: 2_000,
  });
  await pod.exec('nft', redirection(group));
  return { ...partMethods(part), admin };
}

interface BootstrapOptions {
  readonly pod: ClientPod;
  readonly istiod: Istiod;
  readonly adminSocket: string;
}

function bootstrap({ pod, istiod, adminSocket }: BootstrapOptions): object {
  const [address, port] = istiod.xdsAddress.split(':');
  const source = { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' };
  return {
    node: proxyNode({ namespace: pod.namespace, podIp: pod.podIp }),
    admin: { address: { pipe: { path: adminSocket } } },
    dynamic_resources: {
      lds_config: source,
      cds_config: source,
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }],
      },
    },
    static_resources: {
      clusters: [grpcCluster('xds-grpc', { socket_address: { address, port_value: Number(port) } })],
    },
  };
}

function grpcCluster(name: string, address: object): object {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}

/** What istio-iptables writes for outbound TCP, as far as it matters here. */
function redirection(group: number): string {
  return `
    table ip sidecar {
      chain output {
        type nat hook output priority -100;
        meta skgid ${group} return
        oifname lo return
        meta l4proto tcp redirect to :${OUTBOUND_PORT}
      }
    }`;
}

async function askSocket(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ socketPath, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => resolve(text));
    });
    request.once('error', reject);
  });
}
