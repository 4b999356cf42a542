import type { SeenEntries, SeenEntry } from '../../src/host/host-store.js';
import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import { DEFAULT_PORTS, type ServiceEntry } from '../../src/istio/service-entry.js';
import { judgeAbsences, type Absences, type AbsenceInput } from '../../src/reconciler/absent-entries.js';
import type { SinkState } from '../../src/reconciler/sink.js';
import { hostname } from '../istio/hostname.js';

const NOW_MS = 1_000_000;
const FACTS = { isTerminating: false, usesWaypoint: false, isAmbient: false };

function entry(host: string, namespace = 'shop'): ServiceEntry {
  return buildServiceEntry({
    owner: 'main',
    apiVersion: 'networking.istio.io/v1',
    ports: DEFAULT_PORTS,
    exportTo: ['.'],
    hostname: hostname(host),
    namespace,
  });
}

function seen(host: string, change: Partial<SeenEntry> = {}): SeenEntry {
  const { namespace, name } = entry(host).metadata;
  return { namespace, name, host, namespaceUid: 'uid-of-shop', ...change };
}

const A = 'a.example.com';
const B = 'b.example.com';
const C = 'c.example.com';
const ALL = [A, B, C];

interface Change {
  readonly present?: readonly string[];
  readonly known?: Partial<SeenEntries>;
  readonly state?: Partial<SinkState>;
  readonly input?: Partial<AbsenceInput>;
}

/** Three entries of which one is missing, unless told. */
function judge({ present = [B, C], known = {}, state = {}, input = {} }: Change = {}): Absences {
  return judgeAbsences({
    known: {
      cluster: { version: '1000', atMs: NOW_MS - 60_000 },
      entries: ALL.map((host) => seen(host)),
      ...known,
    },
    state: {
      entries: present.map((host) => entry(host)),
      clusterVersion: '2000',
      namespaces: new Set(['shop']),
      mesh: { namespaces: [{ name: 'shop', uid: 'uid-of-shop', ...FACTS }] },
      ...state,
    },
    owner: 'main',
    approvedAtMs: () => undefined,
    nowMs: NOW_MS,
    ...input,
  });
}

const missingSince = (missingSinceMs: number): Partial<SeenEntries> => ({
  entries: [seen(A, { missingSinceMs }), seen(B), seen(C)],
});

describe('an entry that was there and is not', () => {
  it('is held until it has settled, and then a wish', () => {
    const { held, wishes, change } = judge();
    expect([[...held], wishes]).toEqual([[`shop/${seen(A).name}`], []]);
    expect(change.seen).toEqual([seen(A, { missingSinceMs: NOW_MS })]);
    expect(judge({ known: missingSince(NOW_MS - 9999) })).toMatchObject({ wishes: [] });
    const later = judge({ known: missingSince(NOW_MS - 10_000) });
    expect([later.wishes.map(({ host }) => host), later.held.size]).toEqual([[A], 0]);
  });

  it('settles anew when the clock was set back', () => {
    expect(judge({ known: missingSince(NOW_MS + 60_000) })).toMatchObject({
      wishes: [],
      change: { seen: [seen(A, { missingSinceMs: NOW_MS })] },
    });
  });

  const going = { name: 'shop', uid: 'uid-of-shop', ...FACTS, isTerminating: true };
  it.each<[string, Change]>([
    ['cluster-went-back', { state: { clusterVersion: '999' } }],
    ['cluster-went-back', { state: { clusterVersion: '1000001000' } }],
    ['cluster-went-back', { state: { clusterVersion: 'of another kind' } }],
    ['namespace-gone', { state: { namespaces: new Set() } }],
    ['namespace-gone', { state: { mesh: { namespaces: [{ name: 'shop', uid: 'another', ...FACTS }] } } }],
    ['namespace-gone', { state: { mesh: { namespaces: [going] } } }],
    ['not-watched', { state: { mesh: {} } }],
    ['approved-since', { input: { approvedAtMs: () => NOW_MS - 59_000 } }],
    ['approved-since', { known: missingSince(NOW_MS - 20_000), input: { approvedAtMs: () => NOW_MS - 1000 } }],
    ['too-many', { present: [C] }],
    ['too-many', { present: [] }],
  ])('is lost by %s, and not expected any more', (reason, change) => {
    const { lost, wishes, held, change: kept } = judge(change);
    expect(new Set(lost.map((one) => one.reason))).toEqual(new Set([reason]));
    expect([wishes, held.size]).toEqual([[], 0]);
    expect(kept.gone).toEqual(lost);
    expect(kept.cluster).toEqual({ version: change.state?.clusterVersion ?? '2000', atMs: NOW_MS });
  });

  it('is no wish beside ten others, also where a watch saw them go', () => {
    const hosts = Array.from({ length: 100 }, (_, index) => `h${index}.example.com`);
    const lostOf = (count: number): number =>
      judge({
        present: hosts.slice(count),
        known: { entries: hosts.map((host) => seen(host)) },
        state: { deletedByOthers: hosts.slice(0, count).map((host) => entry(host)) },
      }).lost.length;
    expect([lostOf(10), lostOf(11)]).toEqual([0, 11]);
  });

  it('is one where a watch saw it go, also as the only one, and where namespaces may not be read', () => {
    const change = { present: [], known: { entries: [seen(A)] }, state: { deletedByOthers: [entry(A)], mesh: {} } };
    expect(judge(change)).toMatchObject({ lost: [], change: { seen: [{ host: A }] } });
  });

  it('was approved before it went: a deletion is the later word', () => {
    expect(judge({ input: { approvedAtMs: () => NOW_MS - 60_000 } }).held.size).toBe(1);
  });
});

describe('an entry that is there', () => {
  it('is known from then on, once', () => {
    const first = judge({ present: ALL, known: { entries: [] } });
    expect(first.change.seen).toEqual(ALL.map((host) => seen(host)));
    const entries = first.change.seen;
    const known = { cluster: { version: '2000', atMs: NOW_MS - 1000 }, entries };
    expect(judge({ present: ALL, known }).change).toEqual({ seen: [], gone: [] });
  });

  it('is missing no longer when it came back', () => {
    expect(judge({ present: ALL, known: missingSince(NOW_MS - 60_000) })).toMatchObject({
      wishes: [],
      change: { seen: [seen(A)] },
    });
  });

  it('is not expected any more when it lost our mark', () => {
    const { metadata, ...rest } = entry(A);
    const foreign = { ...rest, metadata: { ...metadata, labels: {} } };
    const { lost, held, change } = judge({ state: { entries: [foreign, entry(B), entry(C)] } });
    expect([lost, held.size, change.gone]).toEqual([[], 0, [seen(A)]]);
  });
});
