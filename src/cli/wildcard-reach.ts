import { createInterface } from 'node:readline/promises';
import type { Hostname } from '../dns/hostname.js';
import type { HostRecord } from '../host/host-record.js';
import type { HostStore } from '../host/host-store.js';
import { reachOf } from '../host/wildcard.js';
import type { Terminal } from './terminal.js';
import { countText } from './time-text.js';

const SHOWN_NAMES = 10;

/** What a wildcard covers and what it would open beside that, one sentence a line. */
export async function describeReach(store: HostStore, wildcard: Hostname): Promise<readonly string[]> {
  const records: HostRecord[] = [];
  for await (const record of store.list()) records.push(record);
  const { open, newlyOpen } = reachOf(wildcard, records);
  const more = newlyOpen.length > SHOWN_NAMES ? ', …' : '';
  const names = newlyOpen.length === 0 ? '' : `: ${newlyOpen.slice(0, SHOWN_NAMES).join(', ')}${more}`;
  return [
    `covers ${countText(open.length, 'host')} that may have an entry anyhow`,
    `newly opens ${countText(newlyOpen.length, 'known host')}${names}`,
    `and every other name below ${wildcard.slice('*.'.length)}, now and later`,
  ];
}

/** Asks whoever sits at the terminal; undefined where nobody does. */
export async function ask({ stdin, stderr }: Terminal, question: string): Promise<boolean | undefined> {
  const isTerminal = 'isTTY' in stdin && stdin.isTTY === true;
  if (!isTerminal) return undefined;
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    return /^y(?:es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
