import type { HostPort, HostRecord, WorkloadEvidence } from '../../src/host/host-record.js';
import { readRules } from '../../src/host/host-rule.js';
import { parseSpecialHost } from '../../src/istio/special-host.js';
import { wantedEntries, type EntrySettings } from '../../src/reconciler/desired-entries.js';
import { hostname } from '../istio/hostname.js';

const settings: EntrySettings = {
  owner: 'main',
  exportTo: ['.'],
  defaultNamespace: 'default',
  apiVersion: 'networking.istio.io/v1',
};

function rules(...lines: string[]): Pick<EntrySettings, 'rules'> {
  return { rules: readRules({ version: 1, rules: lines }).rules };
}

const usage = { firstSeenMs: 1000, lastSeenMs: 2000, lookups: 3 };

function usedFrom(namespace: string): WorkloadEvidence {
  return { workload: { namespace, kind: 'Deployment', name: 'web' }, attribution: 'exact', ...usage };
}

const unknownClient: WorkloadEvidence = {
  workload: { namespace: '', kind: 'Address', name: '192.0.2.9' },
  attribution: 'unknown',
  ...usage,
};

function record(name: string, workloads: readonly WorkloadEvidence[], change: Partial<HostRecord> = {}): HostRecord {
  return {
    hostname: hostname(name),
    state: 'approved',
    reason: 'policy-learn',
    transitions: [{ state: 'approved', reason: 'policy-learn', atMs: 5000 }],
    addresses: [],
    ttlSeconds: { min: 1, max: 1 },
    cnames: [],
    days: [],
    flags: [],
    ports: [],
    decisions: [],
    children: [],
    workloads,
    pending: [],
    ...usage,
    ...change,
  };
}

/** `namespace exportTo ports` of each entry. */
function places(records: readonly HostRecord[], change: Partial<EntrySettings> = {}): string[] {
  return wantedEntries(records, { ...settings, ...change }).desired.map(({ metadata, spec }) =>
    [
      metadata.namespace,
      spec.exportTo?.join(),
      ...(spec.ports ?? []).map(({ number, protocol }) => `${number}/${protocol}`),
    ].join(' '),
  );
}

const used = record('a.example.com', [usedFrom('web'), usedFrom('shop'), usedFrom('web')]);

describe('wantedEntries', () => {
  it('takes the ports of a special host for all that there are, wherever the host is used', () => {
    const special = parseSpecialHost('ranges', 'db.example.com 5432 198.51.100.0/24');
    if ('problem' in special) throw new Error(special.problem);
    const ports = [{ number: 8443, protocol: 'TLS', reason: 'https-record' }];
    const records = [record('db.example.com', [usedFrom('shop'), usedFrom('web')], { ports })];
    const wanted = wantedEntries(records, { ...settings, specialHosts: new Map([[special.hostname, special]]) });
    expect(wanted.desired.map(({ metadata, spec }) => [metadata.namespace, spec.addresses, spec.ports])).toEqual(
      ['shop', 'web'].map((namespace) => [
        namespace,
        ['198.51.100.0/24'],
        [{ name: 'tcp-5432', number: 5432, protocol: 'TCP' }],
      ]),
    );
  });

  it('wants one entry in each namespace that uses a host', () => {
    expect(places([used])).toEqual(['shop . 80/HTTP 443/TLS', 'web . 80/HTTP 443/TLS']);
  });

  it('puts a client that is no known pod into the default namespace', () => {
    const one = record('a.example.com', [unknownClient, usedFrom('shop')]);
    expect(places([one])).toEqual(['default . 80/HTTP 443/TLS', 'shop . 80/HTTP 443/TLS']);
  });

  it('wants one central entry that names its users, when told to', () => {
    const central = { mode: 'central', centralNamespace: 'egress' } as const;
    expect(places([used], central)).toEqual(['egress shop,web 80/HTTP 443/TLS']);
    expect(places([used], { ...central, exportTo: ['*'] })).toEqual(['egress * 80/HTTP 443/TLS']);
    expect(places([used], { mode: 'central' })).toEqual(['istio-system shop,web 80/HTTP 443/TLS']);
    const own = record('a.example.com', [usedFrom('egress'), usedFrom('web')]);
    expect(places([own], central)).toEqual(['egress .,web 80/HTTP 443/TLS']);
  });

  it('wants what was written in 2019, when told to', () => {
    expect(places([used], { mode: 'classic', ports: [{ number: 8443, protocol: 'TLS' }] })).toEqual([
      'default * 80/HTTP 443/HTTPS',
    ]);
  });

  it('is exported to the whole mesh, when told to', () => {
    expect(places([used], { exportTo: ['*'] })).toEqual(['shop * 80/HTTP 443/TLS', 'web * 80/HTTP 443/TLS']);
  });

  it('declares the ports of the settings, evidence beside them, and orders in their place', () => {
    const ports: readonly HostPort[] = [{ number: 8443, protocol: 'TLS', reason: 'https-record' }];
    const seen = record('a.example.com', [usedFrom('shop')], { ports });
    expect(places([seen], { ports: [{ number: 443, protocol: 'TLS' }] })).toEqual(['shop . 443/TLS 8443/TLS']);
    expect(places([seen], rules('port a.example.com 50051/GRPC'))).toEqual(['shop . 50051/GRPC']);
  });

  it('goes where a rule says, whoever uses the host, and also before its clients are known', () => {
    const told = rules('namespace domain:example.com web,api');
    expect(places([used], told)).toEqual(['api . 80/HTTP 443/TLS', 'web . 80/HTTP 443/TLS']);
    expect(places([record('b.example.com', [])], told)).toHaveLength(2);
    expect(places([record('b.example.com', [])])).toEqual([]);
    expect(places([record('example.net', [usedFrom('shop')])], told)).toEqual(['shop . 80/HTTP 443/TLS']);
  });

  it('says which ports it does not declare, and why', () => {
    const ports: readonly HostPort[] = [{ number: 3306, protocol: 'TLS', reason: 'https-record' }];
    const { withheld } = wantedEntries([record('a.example.com', [usedFrom('shop')], { ports })], settings);
    expect(withheld).toEqual([
      { hostname: 'a.example.com', ports: [{ number: 3306, protocol: 'TLS', reason: 'server-speaks-first' }] },
    ]);
  });

  it('wants a wildcard where its children are used', () => {
    const { desired } = wantedEntries([record('*.example.com', [usedFrom('shop')])], settings);
    expect(desired.map(({ spec }) => spec.hosts)).toEqual([['*.example.com']]);
  });

  it.each([
    ['a namespace that is none', record('a.example.com', [usedFrom('Shop')]), 'ISTIO_ERR_NAMESPACE'],
    ['a wildcard over a public suffix', record('*.co.uk', [usedFrom('shop')]), 'ISTIO_ERR_HOST'],
    [
      'a host whose ordered ports all have to be withheld',
      record('b.example.com', [usedFrom('shop')]),
      'ISTIO_ERR_PORTS',
    ],
  ])('refuses %s without stopping at it', (_what, bad, code) => {
    const { desired, refused } = wantedEntries([bad, used], { ...settings, ...rules('port b.example.com 15001/TLS') });
    expect([desired.length, refused.map((refusal) => refusal.code)]).toEqual([2, [code]]);
  });

  it('stops at a setting that is wrong', () => {
    expect(() => wantedEntries([used], { ...settings, exportTo: [] })).toThrow('exportTo');
  });

  it.each(['candidate', 'eligible', 'quarantined', 'ignored', 'retired'] as const)(
    'wants nothing for a host that is %s',
    (state) => {
      expect(places([record('a.example.com', [usedFrom('shop')], { state })])).toEqual([]);
    },
  );

  it('names what was decided against, and since when', () => {
    const ignored = record('b.example.com', [], {
      state: 'ignored',
      transitions: [
        { state: 'ignored', reason: 'person: first', atMs: 1000 },
        { state: 'approved', reason: 'person: again', atMs: 2000 },
        { state: 'ignored', reason: 'person: no', atMs: 3000 },
      ],
    });
    const { unwanted, unwantedSinceMs } = wantedEntries([used, ignored], settings);
    expect([unwanted, [...unwantedSinceMs]]).toEqual([['b.example.com'], [['b.example.com', 3000]]]);
  });
});
