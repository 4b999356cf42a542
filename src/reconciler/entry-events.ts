import type { ServiceEntry } from '../istio/service-entry.js';
import type { SkipReason } from '../plan/service-entry-plan.js';
import type { ReconcileStatus } from './reconcile-once.js';

/** An Event of Kubernetes about a namespace, for whoever runs `kubectl describe namespace` or `kubectl get events`. */
export interface EntryEvent {
  readonly namespace: string;
  readonly type: 'Normal' | 'Warning';
  /** Closed set, in CamelCase. */
  readonly reason:
    'ServiceEntriesCreated' | 'ServiceEntriesUpdated' | 'ServiceEntriesDeleted' | 'ServiceEntryNotWritten';
  readonly action: 'Create' | 'Update' | 'Delete' | 'Apply';
  readonly note: string;
}

/** Of one run; the log and the metrics have the rest. */
const MAX_EVENTS = 50;
const MAX_NAMED = 10;
/** What a person has to look at; the other reasons are the plan at work. */
const REPORTED_SKIPS: ReadonlySet<SkipReason> = new Set(['edited-by-others', 'invalid', 'name-taken']);

/** The Events of a run: what was changed, by namespace, and what could not be, once. */
export function eventsOf(status: ReconcileStatus, before: ReconcileStatus | undefined): readonly EntryEvent[] {
  const { created, updated, deleted } = status.result;
  const known = new Set(before === undefined ? [] : problemsOf(before).map(({ note }) => note));
  return [
    ...problemsOf(status).filter(({ note }) => !known.has(note)),
    ...changesOf(deleted, { reason: 'ServiceEntriesDeleted', action: 'Delete' }),
    ...changesOf(updated, { reason: 'ServiceEntriesUpdated', action: 'Update' }),
    ...changesOf(created, { reason: 'ServiceEntriesCreated', action: 'Create' }),
  ].slice(0, MAX_EVENTS);
}

function problemsOf({ plan, result }: ReconcileStatus): readonly EntryEvent[] {
  const skipped = plan.skipped
    .filter(({ reason }) => REPORTED_SKIPS.has(reason))
    .map(({ namespace, name, host, reason, because }) =>
      problem(namespace, name, host, [reason, ...because].join(' ')),
    );
  const failed = result.failures.map(({ namespace, name, host, code, message }) =>
    problem(namespace, name, host, `${code}: ${message}`),
  );
  return [...failed, ...skipped];
}

function problem(namespace: string, name: string, host: string, why: string): EntryEvent {
  const note = `ServiceEntry ${name} for ${host} is not written: ${why}`;
  return { namespace, type: 'Warning', reason: 'ServiceEntryNotWritten', action: 'Apply', note };
}

function changesOf(
  entries: readonly ServiceEntry[],
  { reason, action }: Pick<EntryEvent, 'reason' | 'action'>,
): readonly EntryEvent[] {
  const hosts = new Map<string, string[]>();
  for (const { metadata, spec } of entries) {
    const known = hosts.get(metadata.namespace) ?? [];
    known.push(...spec.hosts);
    hosts.set(metadata.namespace, known);
  }
  return [...hosts].map(([namespace, names]) => {
    const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
    const note = `${action.toLowerCase()}d a ServiceEntry for ${names.slice(0, MAX_NAMED).join(', ')}${more}`;
    return { namespace, type: 'Normal', reason, action, note };
  });
}
