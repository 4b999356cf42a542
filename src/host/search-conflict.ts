import type { RejectionCount } from '../observation/rejection.js';
import type { HostRecord, PendingEvidence } from './host-record.js';

/** Evidence of a host by a client that was asked for another name, of which its own search list made this one. */
export interface SearchConflict {
  readonly asked: string;
  readonly answered: Pick<HostRecord, 'hostname' | 'addresses' | 'cnames'>;
  readonly evidence: Pick<PendingEvidence, 'lookups'>;
}

const MAX_EXAMPLES = 8;
const MAX_ADDRESSES = 3;

/** As a collector counts those that it sees itself. */
export function countConflicts(conflicts: readonly SearchConflict[]): RejectionCount {
  const responses = conflicts.reduce((sum, { evidence }) => sum + evidence.lookups, 0);
  const examples = [...new Set(conflicts.map(formatConflict))].sort().slice(0, MAX_EXAMPLES);
  return { reason: 'search-conflict', responses, examples };
}

/** The name asked, the name that answered, and where the client connects to: one word. */
function formatConflict({ asked, answered: { hostname, cnames, addresses } }: SearchConflict): string {
  return `${[asked, hostname, ...cnames].join('→')}(${addresses.slice(0, MAX_ADDRESSES).join(',')})`;
}
