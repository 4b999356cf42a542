import type { Hostname } from '../../src/dns/hostname.js';
import type { BeliefSettings } from '../../src/host/believe.js';
import type { HostRecord, WorkloadEvidence } from '../../src/host/host-record.js';
import { parseRule, type HostRule } from '../../src/host/host-rule.js';

export const DAY_MS = 86_400_000;
/** When the hosts of {@link hostRecord} were looked up. */
export const SEEN_MS = Date.UTC(2026, 0, 1, 12);

/** A host as it is after one look-up, unless `fields` say otherwise; names are valid by hand. */
export function hostRecord(hostname: string, fields: Partial<HostRecord> = {}): HostRecord {
  const state = fields.state ?? 'candidate';
  const reason = fields.reason ?? 'positive-answer';
  return {
    hostname: hostname as Hostname,
    state,
    reason,
    transitions: [{ state, reason, atMs: SEEN_MS }],
    firstSeenMs: SEEN_MS,
    lastSeenMs: SEEN_MS,
    lookups: 1,
    addresses: ['192.0.2.1'],
    ttlSeconds: { min: 60, max: 60 },
    cnames: [],
    days: [{ dayMs: Date.UTC(2026, 0, 1), lookups: 1 }],
    flags: [],
    ports: [],
    decisions: [],
    children: [],
    workloads: [],
    pending: [],
    ...fields,
  };
}

export function usedBy(namespace: string, kind: string, name: string): WorkloadEvidence {
  const usage = { firstSeenMs: SEEN_MS, lastSeenMs: SEEN_MS, lookups: 1 };
  return { workload: { namespace, kind, name }, attribution: 'exact', ...usage };
}

export function rules(...lines: readonly string[]): readonly HostRule[] {
  return lines.map((line) => {
    const rule = parseRule(line);
    if ('problem' in rule) throw new Error(rule.problem);
    return rule;
  });
}

export function beliefSettings(fields: Partial<BeliefSettings> = {}): BeliefSettings {
  return {
    policy: 'learn',
    stabilityMs: 0,
    expiryMs: 30 * DAY_MS,
    retireMs: 7 * DAY_MS,
    rules: [],
    caps: { all: 1000, domain: 1000, namespace: 1000, workload: 1000 },
    wildcardChildren: 0,
    ...fields,
  };
}
