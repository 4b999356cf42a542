import { insertTap } from '../../src/install/corefile/insert-tap.js';
import { type ClusterDns, detectClusterDns } from '../../src/install/detect-cluster-dns.js';
import { diagnose, type DoctorInput, type DoctorReport } from '../../src/install/doctor.js';
import { readOfflineObjects } from '../../src/install/offline-objects.js';
import type { ArrivalCheck } from '../../src/install/verify-arrival.js';
import { platformDirectory } from './platform.js';

const ENDPOINT = 'tcp://10.96.0.77:6000';

/** kubeadm's cluster with our line in its Corefile. */
async function installed(): Promise<ClusterDns> {
  const dns = await detectClusterDns(await readOfflineObjects(platformDirectory('kubeadm')));
  const { corefile } = dns;
  if (corefile === undefined) throw new Error('kubeadm has a Corefile');
  const inserted = insertTap(corefile.text, { endpoint: ENDPOINT, version: '1.11.3' });
  if ('refused' in inserted) throw new Error(inserted.refused);
  return { ...dns, corefile: { ...corefile, text: inserted.text } };
}

async function report(state: ArrivalCheck['state'], input: Partial<DoctorInput> = {}): Promise<DoctorReport> {
  const arrival = { state, collectors: [], unreadable: [] };
  return diagnose({
    dns: await installed(),
    endpoint: ENDPOINT,
    namespace: 'istio-discovery',
    notRead: [],
    arrival,
    ...input,
  });
}

describe('what the doctor says of an installation', () => {
  it.each<[ArrivalCheck['state'], DoctorReport['verdict'], string]>([
    ['arriving', 'installed', 'queries-arrive'],
    ['silent', 'unverified', 'collector-silent'],
    ['unreadable', 'unverified', 'collector-unreadable'],
    ['alone', 'broken', 'collector-alone'],
  ])('is for %s: %s', async (state, verdict, code) => {
    const { verdict: found, findings, plan } = await report(state);
    expect(found).toBe(verdict);
    expect(findings.map((each) => each.code)).toContain(code);
    expect(plan).toEqual([]);
  });

  it('asks for no right to install from who only looks', async () => {
    const right = { verb: 'create', group: '', resource: 'namespaces', purpose: 'ours', allowed: false };
    expect((await report('arriving', { rights: [right] })).verdict).toBe('installed');
    expect((await report('absent', { rights: [right] })).verdict).toBe('impossible');
  });

  it('misses a tap that goes elsewhere than to the collector', async () => {
    const { verdict, findings } = await report('alone', { endpoint: 'tcp://10.96.0.78:6000' });
    expect(verdict).toBe('broken');
    expect(findings.slice(0, 2).map(({ code }) => code)).toEqual(['tap-absent', 'collector-alone']);
    expect(findings.map(({ code }) => code)).toContain('other-tap');
  });

  it('says what Redis loses', async () => {
    const store = { kind: 'redis', reachable: true, persistence: 'none', evictionPolicy: 'allkeys-lru' } as const;
    const { findings } = await report('arriving', { store });
    const codes = findings.filter(({ severity }) => severity === 'warning').map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(['store-volatile', 'store-evicts']));
  });
});
