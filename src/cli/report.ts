import type { HostView, WorkloadView } from '../host/host-view.js';
import { REJECTIONS, type RejectionCount } from '../observation/rejection.js';
import type { Listing } from './output.js';
import { formatTable } from './table.js';

const SHOWN_WORKLOADS = 2;
const MAX_EXAMPLE_CHARACTERS = 60;

/** The learnt hosts as a table for people. */
export const HOST_LISTING: Listing<HostView> = {
  header: ['HOST', 'USED BY', 'FIRST SEEN', 'LAST SEEN', 'LOOKUPS', 'STATE', 'WHY'],
  toRow: (host) => [
    host.hostname,
    usersOf(host.workloads),
    shortTime(host.firstSeen),
    shortTime(host.lastSeen),
    String(host.lookups),
    host.state,
    host.reason,
  ],
  nameOf: ({ hostname }) => hostname,
  empty: 'No hosts yet.\n',
};

/** What was not learnt, by reason, the most frequent first. */
export function formatRejections(rejections: readonly RejectionCount[]): string {
  if (rejections.length === 0) return '';
  const sorted = rejections.toSorted((a, b) => b.responses - a.responses || (a.reason < b.reason ? -1 : 1));
  const rows = sorted.map(({ reason, responses, examples }) => [
    reason,
    String(responses),
    fitExamples(examples),
    REJECTIONS[reason],
  ]);
  return formatTable(['NOT LEARNT', 'RESPONSES', 'FOR EXAMPLE', 'BECAUSE'], rows);
}

/** As many as fit into the column, at least one. */
function fitExamples(examples: readonly string[]): string {
  let text = examples[0] ?? '';
  for (const example of examples.slice(1)) {
    if (text.length + example.length > MAX_EXAMPLE_CHARACTERS) break;
    text += `, ${example}`;
  }
  return text;
}

function usersOf(workloads: readonly WorkloadView[]): string {
  const names = workloads.map(({ namespace, kind, name, attribution }) => {
    if (attribution === 'exact') return `${namespace}/${kind}/${name}`;
    return attribution === 'node' ? `node ${name}` : name;
  });
  const more = names.length - SHOWN_WORKLOADS;
  return more > 0 ? `${names.slice(0, SHOWN_WORKLOADS).join(', ')} and ${more} more` : names.join(', ');
}

/** `2026-01-31 12:34:56`, in UTC. */
function shortTime(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ');
}
