import { MAX_ADDRESSES } from '../observation/observation.js';
import type { HostCore } from './host-core.js';
import { MAX_DAYS } from './host-record.js';
import type { ObservationGroup } from './observation-group.js';
import { packAddress, unpackAddresses } from './packed-address.js';
import { packCount, unpackCounts } from './packed-counts.js';
import { readUsage, writeUsage } from './redis-evidence.js';
import { DAY_MS, MINUTE_MS } from './time-units.js';

/** What observations say of a host, as the first four lines of its text in Redis have it; see redis-host.ts. */
export type Observed = Pick<
  HostCore,
  'firstSeenMs' | 'lastSeenMs' | 'lookups' | 'addresses' | 'ttlSeconds' | 'cnames' | 'days'
>;
export type ObservedLines = readonly [usage: string, addresses: string, chain: string, days: string];

/** What a batch has of a host, for `lua/record.ts`. */
export function groupLines(group: ObservationGroup): ObservedLines {
  const { firstMs, lastMs, lookups, minTtl, maxTtl, chainMinute, chain } = group;
  return [
    `${writeUsage({ firstSeenMs: firstMs, lastSeenMs: lastMs, lookups })} ${base36(minTtl)} ${base36(maxTtl)}`,
    writeAddresses([...group.addresses]),
    chain === '' ? base36(chainMinute) : `${base36(chainMinute)} ${chain}`,
    writeDays([...group.days]),
  ];
}

export function observedLines({ addresses, ttlSeconds, cnames, days, ...usage }: Observed): ObservedLines {
  return [
    `${writeUsage(usage)} ${base36(ttlSeconds.min)} ${base36(ttlSeconds.max)}`,
    writeAddresses(Object.entries(addresses).map(([address, atMs]) => [address, atMs / MINUTE_MS])),
    [base36(cnames.atMs / MINUTE_MS), ...cnames.chain].join(' '),
    writeDays(days.map(({ dayMs, lookups }) => [dayMs / DAY_MS, lookups])),
  ];
}

/** The inverse of {@link observedLines}. */
export function readObserved([usage, addresses, chain, days]: ObservedLines): Observed {
  const [, , , min = '0', max = '0'] = usage.split(' ');
  const [chainMinute = '0', ...names] = chain.split(' ');
  return {
    ...readUsage(usage),
    addresses: Object.fromEntries(readAddresses(addresses)),
    ttlSeconds: { min: number(min), max: number(max) },
    cnames: { atMs: number(chainMinute) * MINUTE_MS, chain: names },
    days: readDays(days),
  };
}

type MinuteOf = readonly [packed: string, minute: number];

function writeAddresses(addresses: readonly (readonly [address: string, minute: number])[]): string {
  const minutes = addresses.map(([address, minute]): MinuteOf => [packAddress(address), minute]);
  if (minutes.length > 1) minutes.sort(([a, aMinute], [b, bMinute]) => bMinute - aMinute || (a < b ? -1 : 1));
  let text = '';
  let latest: number | undefined;
  for (const [packed, minute] of minutes.slice(0, MAX_ADDRESSES)) {
    if (minute !== latest) text += `${text === '' ? '' : ' '}${base36(minute)}`;
    latest = minute;
    text += packed;
  }
  return text;
}

/** The addresses of the second line, each with when it was last seen. */
function readAddresses(line: string): readonly (readonly [address: string, atMs: number])[] {
  if (line === '') return [];
  return line.split(' ').flatMap((word) => {
    const atMs = number(word) * MINUTE_MS; // of the digits at the beginning
    return unpackAddresses(word).map((address) => [address, atMs] as const);
  });
}

/** Those addresses without the times, sorted. */
export function readAddressNames(line: string): readonly string[] {
  const names = line.includes(' ') ? line.split(' ').flatMap(unpackAddresses) : [...unpackAddresses(line)];
  return names.sort();
}

type LookupsOf = readonly [day: number, lookups: number];

function writeDays(days: LookupsOf[]): string {
  if (days.length > 1) days.sort(([a], [b]) => b - a);
  let text = '';
  let before: number | undefined;
  for (const [day, lookups] of days.slice(0, MAX_DAYS)) {
    const gap = before === undefined ? 1 : before - day;
    text += (before === undefined ? `${base36(day)} ` : gap === 1 ? '' : String(gap)) + packCount(lookups);
    before = day;
  }
  return text;
}

function readDays(line: string): HostCore['days'] {
  const [newest = '0', counts = ''] = line.split(' ');
  let day = number(newest) + 1;
  return unpackCounts(counts).map(([gap, lookups]) => {
    day -= gap === 0 ? 1 : gap;
    return { dayMs: day * DAY_MS, lookups };
  });
}

const base36 = (value: number): string => value.toString(36);
const number = (text: string): number => Number.parseInt(text, 36);
