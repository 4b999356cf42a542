import type { KubernetesClient } from './client.js';
import { resourcePath } from './kubernetes-object.js';
import { formatMicroTime } from './micro-time.js';

export interface EventOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** What the event is about. */
  readonly regarding: { readonly apiVersion: string; readonly kind: string; readonly name: string };
  readonly type: 'Normal' | 'Warning';
  /** Machine-readable, in CamelCase. */
  readonly reason: string;
  /** What was done or tried, in CamelCase. */
  readonly action: string;
  /** For people; cut at 1 kB. */
  readonly note: string;
  /** Program, and which one of its processes. */
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly nowMs: number;
  readonly signal?: AbortSignal;
}

const MAX_NOTE_CHARACTERS = 1024; // events.k8s.io/v1

/**
 * Records an Event, which `kubectl describe` shows with its object for about an hour.
 *
 * @throws KubernetesError
 */
export async function recordEvent(options: EventOptions): Promise<void> {
  const { client, namespace, regarding, nowMs, note, signal } = options;
  await client.request({
    method: 'POST',
    path: resourcePath({ group: 'events.k8s.io', version: 'v1', plural: 'events' }, { namespace }),
    body: {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace, generateName: 'istio-discovery-' },
      eventTime: formatMicroTime(nowMs),
      reportingController: options.reportingController,
      reportingInstance: options.reportingInstance,
      type: options.type,
      reason: options.reason,
      action: options.action,
      regarding: { ...regarding, namespace },
      note: note.slice(0, MAX_NOTE_CHARACTERS),
    },
    ...(signal && { signal }),
  });
}
