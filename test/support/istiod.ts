import { writeFileSync } from 'node:fs';
import { runCommand } from './command.js';
import { freePort } from './free-port.js';
import type { KubeApiserver } from './kube-apiserver.js';
import { partPath } from './parts.js';
import { answersHttp } from './probe.js';
import { partMethods, startPart, type Part } from './process.js';
import { readProxyConfig, type ProxyConfig } from './proxy-config.js';
import { createTemporaryDirectory } from './temporary-directory.js';
import { waitUntil } from './wait-until.js';

/** @see startIstiod */
export interface IstiodOptions {
  /** Its cluster, with Istio's custom resource definitions. */
  readonly apiServer: KubeApiserver;
  /** Fields of its MeshConfig, in place of Istio's defaults. */
  readonly mesh?: object;
  /** Address on which proxies reach it; 127.0.0.1 unless told. */
  readonly host?: string;
  /** Whether it serves ztunnels too; then sidecars get a way into their tunnels. */
  readonly ambient?: boolean;
}

/** A proxy as istiod knows it. */
export interface MeshProxy {
  readonly namespace: string;
  /** `sidecar` unless told. */
  readonly type?: 'sidecar' | 'ztunnel';
  readonly podIp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Whether its agent answers the names of the mesh by itself (`ISTIO_META_DNS_CAPTURE`). */
  readonly capturesDns?: boolean;
}

/** An istiod that runs. */
export interface Istiod extends Part {
  /** HOST:PORT of its discovery service, without TLS. */
  readonly xdsAddress: string;
  /** Replaces its MeshConfig, which it reads again by itself. */
  readonly setMesh: (mesh: object) => void;
  /** What it serves to such proxies at this moment, in their order. */
  readonly proxyConfigs: (proxies: readonly MeshProxy[]) => Promise<readonly ProxyConfig[]>;
  /** The same as soon as it serves by all ServiceEntries, DestinationRules and VirtualServices that were written before. */
  readonly settledConfigs: (proxies: readonly MeshProxy[]) => Promise<readonly ProxyConfig[]>;
}

/** Its own namespace, the root namespace of the mesh. */
export const ISTIO_NAMESPACE = 'istio-system';

const LOOPBACK = '127.0.0.1';
const ISTIO_VERSION = '1.31.0';

/**
 * Starts an istiod: its discovery service alone, with no webhooks and no certificate authority.
 *
 * It leaves out the filters that only Istio's build of Envoy has, so that any Envoy takes what it serves.
 */
export async function startIstiod(options: IstiodOptions): Promise<Istiod> {
  const { apiServer, mesh = {}, host = LOOPBACK, ambient = false } = options;
  const directory = createTemporaryDirectory();
  const meshFile = directory.file('mesh');
  const setMesh = (fields: object): void => writeFileSync(meshFile, JSON.stringify(fields)); // JSON is YAML
  setMesh(mesh);
  await createNamespace(apiServer, ISTIO_NAMESPACE);
  const xdsAddress = `${host}:${await freePort()}`;
  const httpAddress = `${LOOPBACK}:${await freePort()}`;
  const part = await startPart({
    name: 'istiod',
    command: await partPath('pilot-discovery'),
    args: [
      'discovery',
      `--kubeconfig=${apiServer.kubeconfigFile}`,
      `--meshConfig=${meshFile}`,
      `--grpcAddr=${xdsAddress}`,
      `--httpAddr=${httpAddress}`,
      '--httpsAddr=',
      '--secureGRPCAddr=',
      `--monitoringAddr=${LOOPBACK}:${await freePort()}`,
      `--ctrlz_port=${await freePort()}`,
      '--shutdownDuration=0s',
    ],
    directory,
    environment: {
      POD_NAMESPACE: ISTIO_NAMESPACE,
      POD_NAME: 'istiod',
      ENABLE_CA_SERVER: 'false',
      PILOT_CERT_PROVIDER: 'none',
      INJECTION_WEBHOOK_CONFIG_NAME: '',
      VALIDATION_WEBHOOK_CONFIG_NAME: '',
      PILOT_ENABLE_AMBIENT: String(ambient),
      PILOT_ENABLE_ALPN_FILTER: 'false',
      PILOT_ENABLE_METADATA_EXCHANGE: 'false',
      PILOT_DEBOUNCE_AFTER: '20ms',
    },
    ready: async () => answersHttp(`http://${httpAddress}/ready`),
    stopTimeoutMs: 2_000,
  });
  const proxyConfigs = async (proxies: readonly MeshProxy[]): Promise<readonly ProxyConfig[]> => {
    const nodes = proxies.map((proxy) => JSON.stringify(proxyNode(proxy)));
    const { stdout } = await runCommand(await partPath('print-proxy-config'), [xdsAddress, ...nodes]);
    return stdout.trim().split('\n').map(readProxyConfig);
  };
  let round = 0;
  return {
    ...partMethods(part),
    xdsAddress,
    setMesh,
    proxyConfigs,
    settledConfigs: async (proxies) => {
      round += 1;
      await applyObjects(apiServer, markers(round));
      const settled = async (): Promise<readonly ProxyConfig[] | false> => {
        const [own, ...configs] = await proxyConfigs([{ namespace: ISTIO_NAMESPACE }, ...proxies]);
        return own !== undefined && showsMarkers(own, round) && configs;
      };
      return waitUntil(settled, { what: 'what was written in what istiod serves', everyMs: 10 });
    },
  };
}

/** The node that a proxy of the pod sends, as `envoy.config.core.v3.Node`. */
export function proxyNode({ namespace, type = 'sidecar', podIp = '10.244.0.1', ...proxy }: MeshProxy): object {
  return {
    id: `${type}~${podIp}~web.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `web.${namespace}`,
    metadata: {
      NAMESPACE: namespace,
      INSTANCE_IPS: podIp,
      ISTIO_VERSION,
      CLUSTER_ID: 'Kubernetes',
      INTERCEPTION_MODE: 'REDIRECT',
      LABELS: proxy.labels ?? {},
      NODE_NAME: 'node',
      ...(proxy.capturesDns === true && { DNS_CAPTURE: 'true' }),
    },
  };
}

/** Makes a namespace, if there is none of that name. */
export async function createNamespace(
  apiServer: KubeApiserver,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await applyObjects(apiServer, [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }]);
}

/** Writes objects as somebody other than the program. */
export async function applyObjects(apiServer: KubeApiserver, objects: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await apiServer.kubectl(['apply', '--server-side', '--field-manager=operator', '-f', '-'], JSON.stringify(list));
}

const markerHost = (round: number): string => `settled-${round}.example.org`;

/**
 * The API server tells of objects of a kind in the order in which they were written, and istiod reads all that it was told
 * before it serves anew: once it serves these, it serves by all of their kinds that were written before.
 */
function markers(round: number): readonly object[] {
  const host = markerHost(round);
  const object = (kind: string, spec: object): object => ({
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name: 'settled', namespace: ISTIO_NAMESPACE },
    spec: { ...spec, exportTo: ['.'] },
  });
  const ports = [
    { name: 'http-80', number: 80, protocol: 'HTTP' },
    { name: 'tls-443', number: 443, protocol: 'TLS' },
  ];
  return [
    object('ServiceEntry', { hosts: [host], resolution: 'NONE', ports }),
    object('DestinationRule', { host, trafficPolicy: { connectionPool: { tcp: { maxConnections: round } } } }),
    object('VirtualService', { hosts: [host], http: [{ route: [{ destination: { host } }], timeout: `${round}s` }] }),
  ];
}

function showsMarkers(config: ProxyConfig, round: number): boolean {
  const host = markerHost(round);
  const cluster = config.get(`cluster outbound|80||${host} ORIGINAL_DST`) ?? '';
  const route = config.get(`route 80 [${host} ${host}.] -> outbound|80||${host}`) ?? '';
  return cluster.includes(`"maxConnections":${round},`) && route.includes(`"timeout":"${round}s"`);
}
