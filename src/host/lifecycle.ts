import type { HostRecord, HostState } from './host-record.js';
import type { HostTransition } from './host-store.js';

export const HOST_POLICIES = ['observe', 'learn', 'approve', 'frozen'] as const;
export type HostPolicy = (typeof HOST_POLICIES)[number];

export interface LifecycleSettings {
  readonly policy: HostPolicy;
  /** How long a host must have been known before it is eligible. */
  readonly stabilityMs: number;
}

/**
 * The next arrow of a host's life that time and policy allow, if any:
 *
 * ```
 *              stable for stabilityMs        policy learn            written
 *  candidate ────────────────────────▶ eligible ─────────▶ approved ─────────▶ applied
 * ```
 * `observe` and `approve` stop at eligible (in `approve` a person goes on), `frozen` at candidate. The last arrow is the
 * reconciler's, when the ServiceEntry is there.
 */
export function nextTransition(
  record: Pick<HostRecord, 'hostname' | 'state' | 'firstSeenMs'>,
  settings: LifecycleSettings,
  nowMs: number,
): HostTransition | undefined {
  const to = (state: HostState, reason: string): HostTransition => ({
    hostname: record.hostname,
    from: record.state,
    to: state,
    reason,
    atMs: nowMs,
  });
  if (record.state === 'candidate' && settings.policy !== 'frozen') {
    return nowMs - record.firstSeenMs >= settings.stabilityMs ? to('eligible', 'stable') : undefined;
  }
  if (record.state === 'eligible' && settings.policy === 'learn') return to('approved', 'policy-learn');
  return undefined;
}

/** Why every host starts as a candidate. */
export const FIRST_REASON = 'positive-answer';
