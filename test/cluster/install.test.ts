import {
  createDeploy,
  knownUses,
  kubeSystemObjects,
  serviceEntries,
  startClusterWithClients,
} from './installed-cluster.js';
import { type Prober, startProber } from './prober.js';
import type { OneNodeCluster } from '../support/one-node-cluster.js';
import { waitUntil } from '../support/wait-until.js';

const START_TIMEOUT_MS = 600_000; // the images may have to be built first
const STEP_TIMEOUT_MS = 300_000;

let cluster: OneNodeCluster;
let deploy: Awaited<ReturnType<typeof createDeploy>>;
let prober: Prober;

beforeAll(async () => {
  cluster = await startClusterWithClients();
  deploy = await createDeploy(cluster);
  prober = await startProber(cluster);
}, START_TIMEOUT_MS);

describe.each(['collector', 'sidecar'] as const)('in mode %s', (mode) => {
  let before: readonly object[];

  beforeAll(async () => {
    before = await kubeSystemObjects(cluster);
    await deploy('--mode', mode);
  }, STEP_TIMEOUT_MS);

  it('writes the ServiceEntry of each host into the namespace of the workload that asked for it', async () => {
    const expected = [
      'bank/api.example.com',
      'press/cdn.example.com',
      'prober/www.example.net',
      'shop/www.example.com',
    ];
    await waitUntil(async () => (await serviceEntries(cluster)).length >= expected.length, {
      what: 'the ServiceEntries',
      timeoutMs: 90_000, // a CronJob starts at the full minute
      everyMs: 500,
    });
    expect(await serviceEntries(cluster)).toEqual(expected);
    // What was looked up a moment ago is known by its address at first.
    await waitUntil(async () => !(await knownUses(cluster)).some((use) => use.includes('/Address/')), { everyMs: 500 });
    expect(await knownUses(cluster)).toEqual([
      'bank/StatefulSet/ledger api.example.com',
      'press/CronJob/edition cdn.example.com',
      'prober/Pod/prober www.example.net',
      'shop/Deployment/web www.example.com',
    ]);
  });

  it(
    'leaves kube-system as it was',
    async () => {
      await deploy('--uninstall');
      expect(await kubeSystemObjects(cluster)).toEqual(before);
      await cluster.kubectl(['delete', 'serviceentries', '-A', '--all']);
    },
    STEP_TIMEOUT_MS,
  );

  it('loses no look-up, and delays none by a second', async () => {
    const probes = await prober.probes();
    expect(probes.length).toBeGreaterThan(400);
    expect(probes.filter(({ error, tookMs, stalledMs }) => error !== undefined || tookMs - stalledMs > 1000)).toEqual(
      [],
    );
  });
});
