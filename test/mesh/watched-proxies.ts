import type { ProxyConfig } from '../support/proxy-config.js';
import { waitUntil } from '../support/wait-until.js';
import { changes, type TestMesh } from './test-mesh.js';

const PROXIES = {
  shop: { namespace: 'shop' },
  bank: { namespace: 'bank' },
  /** Of the shop as well, with an agent that captures DNS. */
  capturing: { namespace: 'shop', capturesDns: true },
};

type Of<T> = Readonly<Record<keyof typeof PROXIES, T>>;

/** What each of them is served. */
export type Watched = Of<ProxyConfig>;

/** Where connections go that nothing is said of, by the policy of the mesh. */
export const FALLBACK = { ALLOW_ANY: 'PassthroughCluster', REGISTRY_ONLY: 'BlackHoleCluster' } as const;

/** All that the usual entry of a host does: two clusters, a name on 443, a name in the table of routes of port 80. */
export const usual = (host: string, fallback: string): readonly string[] => [
  `+ cluster outbound|443||${host} ORIGINAL_DST`,
  `+ cluster outbound|80||${host} ORIGINAL_DST`,
  '+ listener 0.0.0.0_443',
  `+ listener 0.0.0.0_443 [${host}] -> outbound|443||${host}`,
  `+ listener 0.0.0.0_443 otherwise -> ${fallback}`,
  `+ route 80 [${host} ${host}.] -> outbound|80||${host}`,
];

/** Three proxies, and what has become different for them. */
export class WatchedProxies {
  readonly #mesh: () => TestMesh;
  #before: Watched | undefined;

  constructor(mesh: () => TestMesh) {
    this.#mesh = mesh;
  }

  /** What they are served now; differences count from here. */
  async start(): Promise<Watched> {
    this.#before = await this.#mesh().served(PROXIES);
    return this.#before;
  }

  async changes(): Promise<Of<readonly string[]>> {
    const now = await this.#mesh().served(PROXIES);
    const empty: ProxyConfig = new Map();
    const of = (proxy: keyof typeof PROXIES): readonly string[] => changes(this.#before?.[proxy] ?? empty, now[proxy]);
    return { shop: of('shop'), bank: of('bank'), capturing: of('capturing') };
  }

  /** Has the mesh take the policy, and starts with what that changed. */
  async usePolicy(mode: keyof typeof FALLBACK): Promise<void> {
    this.#mesh().istiod.setMesh({ outboundTrafficPolicy: { mode } });
    const rule = `listener virtualOutbound [any] -> ${FALLBACK[mode]}`;
    await waitUntil(async () => (await this.start()).shop.has(rule), { what: mode });
  }
}
