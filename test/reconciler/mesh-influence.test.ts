import type { HostRecord } from '../../src/host/host-record.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import { influencesOf, withoutEchoes } from '../../src/reconciler/mesh-influence.js';
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

function flags(records: readonly HostRecord[], entries: readonly ServiceEntry[]): readonly string[] {
  const changes = influencesOf({ records, entries, owner: 'main', nowMs: NOW_MS });
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

it('our own entries do nothing to what DNS tells', () => {
  const labels = { 'app.kubernetes.io/managed-by': 'istio-discovery', 'istio-discovery.io/owner': 'main' };
  const ours = {
    ...entry(['api.example.com'], { resolution: 'DNS' }),
    metadata: { name: 'ours', namespace: 'shop', labels },
  };
  expect(flags([hostRecord('api.example.com')], [ours])).toEqual([]);
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
    influencesOf({ records: [record], entries: [one], owner: 'main', nowMs: NOW_MS }).map(({ atMs }) => atMs);
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
    withoutEchoes([hostRecord('api.example.com', { workloads, flags: [flag] })]).flatMap((record) =>
      record.workloads.map(({ workload }) => workload.name),
    );
  expect(users({ name: 'echoed', sinceMs: 10 })).toEqual(['before']);
  expect(users({ name: 'echoed', sinceMs: 10, untilMs: 40 })).toEqual(['before', 'after']);
  expect(users({ name: 'masked', sinceMs: 10 })).toEqual(['before', 'during', 'after']);
});
