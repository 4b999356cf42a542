import type { PlanInput } from '../../src/plan/plan-input.js';
import { PlanMemory } from '../../src/plan/plan-memory.js';
import { planServiceEntries } from '../../src/plan/plan-service-entries.js';
import { foreign, policy, wanted, withMetadata } from './situation.js';

const OURS = withMetadata(wanted('api.example.com'), {
  managedFields: [{ manager: 'istio-discovery', operation: 'Apply', fieldsV1: { 'f:spec': {} } }],
});
const SERVICE = { namespace: 'shop', name: 'web' };
const CURRENT = [OURS, foreign(['other.example.com'])];

/** As a run makes it: what is wanted is built anew, what a watch keeps is the same. */
function input(change: Partial<PlanInput> = {}): PlanInput {
  return {
    current: [...CURRENT],
    desired: [wanted('api.example.com')],
    unwanted: ['gone.example.com'],
    mesh: { services: [SERVICE] },
    namespaces: new Set(['shop']),
    policy,
    ...change,
  };
}

describe('PlanMemory', () => {
  it('gives the plan of before for an equal input', () => {
    const memory = new PlanMemory();
    const first = memory.plan(input());
    expect(memory.plan(input({ nowMs: 1 }))).toBe(first);
    expect(first).toEqual(planServiceEntries(input()));
  });

  it.each<[string, Partial<PlanInput>]>([
    ['a host is wanted', { desired: [wanted('api.example.com'), wanted('new.example.com')] }],
    ['a port is wanted', { desired: [wanted('api.example.com', 'shop', ['.'], [{ number: 8443, protocol: 'TLS' }])] }],
    ['a host is unwanted', { unwanted: ['api.example.com', 'gone.example.com'] }],
    ['an entry appeared', { current: [...CURRENT, foreign(['api.example.com'], 'web', { exportTo: ['*'] })] }],
    ['an entry changed', { current: [{ ...OURS, spec: { ...OURS.spec, exportTo: ['*'] } }, foreign(['a.example'])] }],
    ['a Service appeared', { mesh: { services: [SERVICE, { namespace: 'com', name: 'api.example' }] } }],
    ['a kind cannot be read any more', { mesh: {} }],
    ['a namespace is gone', { namespaces: new Set() }],
    ['the policy is another', { policy: { ...policy, maxEntries: 1 } }],
  ])('plans anew when %s', (_, change) => {
    const memory = new PlanMemory();
    const first = memory.plan(input());
    const second = memory.plan(input(change));
    expect(second).not.toBe(first);
    expect(second).toEqual(planServiceEntries(input(change)));
  });

  it('keeps no plan that changes or waits', () => {
    const memory = new PlanMemory();
    const mesh = { services: [], virtualServices: [], destinationRules: [], sidecars: [] };
    const waits = input({
      mesh,
      desired: [],
      unwanted: ['api.example.com'],
      policy: { ...policy, deleteAfterMs: 1000 },
    });
    expect(memory.plan(waits).delete).toEqual([]);
    expect(memory.plan({ ...waits, nowMs: 1, pendingDeletions: memory.plan(waits).pendingDeletions }).delete).toEqual(
      [],
    );
    const { pendingDeletions } = memory.plan(waits);
    expect(memory.plan({ ...waits, nowMs: 5000, pendingDeletions }).delete).toHaveLength(1);
    expect(memory.plan(input({ current: [] })).create).toHaveLength(1);
    expect(memory.plan(input({ current: [] }))).not.toBe(memory.plan(input({ current: [] })));
  });
});
