import type { HostRecord } from '../../src/host/host-record.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import type { MeshObjects } from '../../src/istio/mesh-objects.js';
import { visibilityIn } from '../../src/plan/visibility.js';
import { MeshInfluence } from '../../src/reconciler/mesh-influence.js';
import { hostRecord, SEEN_MS, usedBy } from '../host/records.js';

const NOW_MS = SEEN_MS + 1000;

function entry(
  hosts: readonly string[],
  spec: Partial<ServiceEntry['spec']> = {},
  creationTimestamp?: string,
): ServiceEntry {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'theirs', namespace: 'shop', ...(creationTimestamp && { creationTimestamp }) },
    spec: { hosts, ...spec },
  };
}

function influence(entries: readonly ServiceEntry[], mesh: MeshObjects = {}): MeshInfluence {
  return new MeshInfluence({ entries, visibility: visibilityIn(mesh, {}) });
}

function flags(
  records: readonly HostRecord[],
  entries: readonly ServiceEntry[],
  mesh: MeshObjects = {},
): readonly string[] {
  const changes = influence(entries, mesh).changesOf(records, NOW_MS);
  return changes.map(({ hostname, flag, holds }) => `${hostname} ${holds ? '' : 'no longer '}${flag}`);
}

it.each([
  ['no resolution', {}, []],
  ['NONE with a range', { resolution: 'NONE', addresses: ['192.0.2.0/24'] }, []],
  ['NONE with an address', { resolution: 'NONE', addresses: ['192.0.2.1'] }, ['masked']],
  ['NONE with a range of one', { addresses: ['192.0.2.1/32'] }, ['masked']],
  ['STATIC', { resolution: 'STATIC' }, ['masked']],
  ['DNS', { resolution: 'DNS' }, ['echoed', 'masked']],
  ['DNS_ROUND_ROBIN', { resolution: 'DNS_ROUND_ROBIN' }, ['echoed', 'masked']],
  ['DYNAMIC_DNS', { resolution: 'DYNAMIC_DNS' }, ['echoed', 'masked']],
])('an entry of others with %s', (_, spec, expected) => {
  const hosts = [hostRecord('api.example.com'), hostRecord('other.example.com')];
  expect(flags(hosts, [entry(['API.example.com.'], spec)])).toEqual(expected.map((flag) => `api.example.com ${flag}`));
});

it('a wildcard of others reaches what lies below it', () => {
  const hosts = ['example.com', 'a.b.example.com', 'badexample.com'].map((name) => hostRecord(name));
  expect(flags(hosts, [entry(['*.example.com'], { resolution: 'STATIC' })])).toEqual(['a.b.example.com masked']);
});

it('our usual entries do nothing to what DNS tells, those with ranges neither; those that resolve do', () => {
  const labels = { 'app.kubernetes.io/managed-by': 'istio-discovery', 'istio-discovery.io/owner': 'main' };
  const ours = (spec: Partial<ServiceEntry['spec']>): ServiceEntry => ({
    ...entry(['api.example.com'], spec),
    metadata: { name: 'ours', namespace: 'shop', labels },
  });
  const records = [hostRecord('api.example.com')];
  expect(flags(records, [ours({ resolution: 'NONE' })])).toEqual([]);
  expect(flags(records, [ours({ resolution: 'NONE', addresses: ['198.51.100.0/24'] })])).toEqual([]);
  expect(flags(records, [ours({ resolution: 'DNS' })])).toEqual(['api.example.com echoed', 'api.example.com masked']);
});

it('ends with the entry, and says nothing that is known', () => {
  const masked = hostRecord('api.example.com', { flags: [{ name: 'masked', sinceMs: SEEN_MS }] });
  expect(flags([masked], [])).toEqual(['api.example.com no longer masked']);
  expect(flags([masked], [entry(['api.example.com'], { resolution: 'STATIC' })])).toEqual([]);
});

it('holds since the entry came, also if that was before the program did', () => {
  const created = new Date(SEEN_MS - 5000).toISOString();
  const dns = { resolution: 'DNS' };
  const of = (record: HostRecord, one: ServiceEntry): readonly number[] =>
    influence([one])
      .changesOf([record], NOW_MS)
      .map(({ atMs }) => atMs);
  expect(of(hostRecord('api.example.com'), entry(['api.example.com'], dns, created))).toEqual([
    SEEN_MS - 5000,
    SEEN_MS - 5000,
  ]);
  expect(of(hostRecord('api.example.com'), entry(['api.example.com'], dns))).toEqual([NOW_MS, NOW_MS]);
  const ended = (['echoed', 'masked'] as const).map((name) => ({ name, sinceMs: 0, untilMs: SEEN_MS }));
  expect(of(hostRecord('api.example.com', { flags: ended }), entry(['api.example.com'], dns, created))).toEqual([
    NOW_MS,
    NOW_MS,
  ]);
});

it('what only looked a host up while proxies did is no use of it', () => {
  const use = (name: string, firstSeenMs: number, lastSeenMs: number) => ({
    ...usedBy('shop', 'Deployment', name),
    firstSeenMs,
    lastSeenMs,
  });
  const workloads = [use('before', 5, 30), use('during', 15, 30), use('after', 15, 45)];
  const users = (flag: HostRecord['flags'][number]): readonly string[] =>
    influence([entry(['api.example.com'], { resolution: 'DNS' })])
      .withoutEchoes([hostRecord('api.example.com', { workloads, flags: [flag] })])
      .flatMap((record) => record.workloads.map(({ workload }) => workload.name));
  expect(users({ name: 'echoed', sinceMs: 10 })).toEqual(['before']);
  expect(users({ name: 'echoed', sinceMs: 10, untilMs: 40 })).toEqual(['before', 'after']);
  expect(users({ name: 'masked', sinceMs: 10 })).toEqual(['before', 'during', 'after']);
});

describe('an entry of others that not everybody sees', () => {
  const theirs = entry(['api.example.com'], { resolution: 'DNS', exportTo: ['.'] }); // in shop
  const used = (...namespaces: readonly string[]): HostRecord =>
    hostRecord('api.example.com', { workloads: namespaces.map((name) => usedBy(name, 'Deployment', 'web')) });
  const both = ['api.example.com echoed', 'api.example.com masked'];

  it('counts where a namespace uses the host that sees it', () => {
    expect(flags([used('bank')], [theirs])).toEqual([]);
    expect(flags([used('bank', 'shop')], [theirs])).toEqual(both);
  });

  it('counts where a user is no known pod, which may be in any namespace', () => {
    const node = { ...usedBy('', 'Node', 'node-1'), attribution: 'node' as const };
    expect(flags([hostRecord('api.example.com', { workloads: [node] })], [theirs])).toEqual(both);
    expect(flags([hostRecord('api.example.com')], [theirs])).toEqual(both);
  });

  it('counts for a namespace whose Sidecar imports it', () => {
    const everybodys = entry(['api.example.com'], { resolution: 'DNS' });
    const importing = (egressHosts: readonly string[]): MeshObjects => {
      return { sidecars: [{ namespace: 'bank', name: 'default', isDefault: true, egressHosts }] };
    };
    expect(flags([used('bank')], [everybodys], importing(['./*']))).toEqual([]);
    expect(flags([used('bank')], [everybodys], importing(['shop/*']))).toEqual(both);
  });

  it('is everybody’s in ambient, where a ztunnel takes no heed of exportTo', () => {
    const namespaces = [{ name: 'bank', isTerminating: false, usesWaypoint: false, isAmbient: true }];
    expect(flags([used('bank')], [theirs], { namespaces })).toEqual(both);
  });

  it('makes no echo of what others ask', () => {
    const record = { ...used('bank', 'shop'), flags: [{ name: 'echoed' as const, sinceMs: SEEN_MS - 1 }] };
    const [left] = influence([theirs]).withoutEchoes([record]);
    expect(left?.workloads.map(({ workload }) => workload.namespace)).toEqual(['bank']);
  });
});
