import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import { eventsOf } from '../../src/reconciler/entry-events.js';
import type { ReconcileStatus } from '../../src/reconciler/reconcile-once.js';
import type { SinkResult } from '../../src/reconciler/sink.js';
import { hostname } from '../istio/hostname.js';

const FAILURE = {
  namespace: 'shop',
  name: 'learned-bad.example.com',
  host: 'bad.example.com',
  code: 'KUBERNETES_ERR_INVALID',
  message: 'not allowed',
};

function entry(host: string, namespace = 'shop'): ServiceEntry {
  return buildServiceEntry({ hostname: hostname(host), namespace, owner: 'main' });
}

function status(result: Partial<SinkResult>, skipped: readonly object[] = []): ReconcileStatus {
  const nothing = { created: [], updated: [], deleted: [], failures: [] };
  // What Events are made of; the rest of a status does not matter here.
  return { plan: { skipped }, result: { ...nothing, ...result } } as unknown as ReconcileStatus;
}

describe('eventsOf', () => {
  it('says what was changed, in one Event a namespace and kind of change', () => {
    const created = [...Array(12).keys()].map((index) => entry(`host-${index}.example.com`));
    const deleted = [entry('old.example.com', 'bank')];
    const events = eventsOf(status({ created, deleted }), undefined);
    expect(events.map(({ namespace, type, reason }) => [namespace, type, reason])).toEqual([
      ['bank', 'Normal', 'ServiceEntriesDeleted'],
      ['shop', 'Normal', 'ServiceEntriesCreated'],
    ]);
    expect(events[1]?.note).toMatch(/host-0\.example\.com, .* and 2 more$/);
  });

  it('tells a failure once, and again when it is another one', () => {
    const failed = status({ failures: [FAILURE] });
    expect(eventsOf(failed, undefined)).toMatchObject([{ type: 'Warning', reason: 'ServiceEntryNotWritten' }]);
    expect(eventsOf(failed, failed)).toEqual([]);
    const other = status({ failures: [{ ...FAILURE, code: 'KUBERNETES_ERR_FORBIDDEN' }] });
    expect(eventsOf(other, failed)).toHaveLength(1);
  });

  it('tells a conflict with somebody else, and keeps what is the plan at work to itself', () => {
    const base = { namespace: 'shop', name: 'learned-a.example.com', host: 'a.example.com', because: ['rival'] };
    const skipped = [
      { ...base, reason: 'edited-by-others' },
      { ...base, reason: 'change-limit' },
    ];
    expect(eventsOf(status({}, skipped), undefined)).toMatchObject([
      { note: expect.stringContaining('rival') as string },
    ]);
  });

  it('floods nobody', () => {
    const failures = [...Array(500).keys()].map((index) => ({ ...FAILURE, host: `host-${index}.example.com` }));
    expect(eventsOf(status({ failures }), undefined).length).toBeLessThan(100);
  });
});
