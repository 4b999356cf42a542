import { hasFlag, type HostSummary, type WorkloadEvidence } from '../host/host-record.js';
import { allEvidence, viewHost } from '../host/host-view.js';
import { REJECTIONS, type RejectionCount } from '../observation/rejection.js';
import type { Listing } from './output.js';
import { formatTable } from './table.js';
import { timeText } from './time-text.js';

const SHOWN_WORKLOADS = 2;
const MAX_EXAMPLE_CHARACTERS = 60;

/** The learnt hosts, as a table for people. */
export const HOST_LISTING: Listing<HostSummary> = {
  header: ['HOST', 'USED BY', 'FIRST SEEN', 'LAST SEEN', 'LOOKUPS', 'STATE', 'WHY'],
  toRow: (host) => [
    host.hostname,
    usersOf(allEvidence(host)),
    timeText(host.firstSeenMs),
    timeText(host.lastSeenMs),
    String(host.lookups),
    host.state,
    [host.reason, ...flagsOf(host)].join(', '),
  ],
  nameOf: ({ hostname }) => hostname,
  toView: viewHost,
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

/** What the state does not say and somebody should know. */
function flagsOf(host: HostSummary): readonly string[] {
  return hasFlag(host, 'would-break') ? ['would break'] : [];
}

function usersOf(evidence: readonly WorkloadEvidence[]): string {
  const names = evidence.slice(0, SHOWN_WORKLOADS).map(({ workload: { namespace, kind, name }, attribution }) => {
    if (attribution === 'exact') return `${namespace}/${kind}/${name}`;
    return attribution === 'node' ? `node ${name}` : name;
  });
  const more = evidence.length - names.length;
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ');
}
