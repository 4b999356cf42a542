import type { Hostname } from '../dns/hostname.js';
import { EVIDENCE_SLOT_MS, type Observation } from '../observation/observation.js';
import { pendingField } from './evidence-fields.js';
import { DAY_MS, MINUTE_MS } from './time-units.js';

/** A chain as stored: `<` stands before the name that led to the host, and is in no name. */
function chainWords({ cnames, askedAs }: Observation): readonly string[] {
  return askedAs === undefined ? cnames : [`<${askedAs}`, ...cnames];
}

/** What {@link ObservationGroup.chain} says, in words. */
export function readChain(words: readonly string[]): {
  readonly cnames: readonly string[];
  readonly askedAs?: string;
} {
  const [first, ...rest] = words;
  return first?.startsWith('<') === true ? { askedAs: first.slice(1), cnames: rest } : { cnames: words };
}

/** What a batch says of one host, merged as far as it can be without the store. */
export class ObservationGroup {
  readonly hostname: Hostname;
  firstMs = Infinity;
  lastMs = 0;
  lookups = 0;
  minTtl = Infinity;
  maxTtl = 0;
  /** Address to the minute (since 1970) it was last seen. */
  readonly addresses = new Map<string, number>();
  chainMinute = -1;
  /** Words separated by a blank. */
  chain = '';
  /** Day (since 1970) to look-ups. */
  readonly days = new Map<number, number>();
  /** By the field of its slot. */
  readonly rows = new Map<string, { readonly dayField: string; firstMs: number; lastMs: number; lookups: number }>();

  constructor(hostname: Hostname) {
    this.hostname = hostname;
  }

  add(observation: Observation): void {
    const { firstObservedAtMs, lastObservedAtMs, lookups, ttlSeconds } = observation;
    this.firstMs = Math.min(this.firstMs, firstObservedAtMs);
    this.lastMs = Math.max(this.lastMs, lastObservedAtMs);
    this.lookups += lookups;
    this.minTtl = Math.min(this.minTtl, ttlSeconds.min);
    this.maxTtl = Math.max(this.maxTtl, ttlSeconds.max);
    const minute = Math.floor(lastObservedAtMs / MINUTE_MS);
    for (const address of observation.addresses) {
      if (minute > (this.addresses.get(address) ?? -1)) this.addresses.set(address, minute);
    }
    this.#addChain(minute, chainWords(observation));
    const day = Math.floor(firstObservedAtMs / DAY_MS);
    this.days.set(day, (this.days.get(day) ?? 0) + lookups);
    this.#addRow(observation);
  }

  /** The latest; of two of one minute the first in order. */
  #addChain(minute: number, cnames: readonly string[]): void {
    if (minute < this.chainMinute) return;
    const chain = cnames.join(' ');
    if (minute === this.chainMinute && chain >= this.chain) return;
    this.chainMinute = minute;
    this.chain = chain;
  }

  #addRow({ client, pod, firstObservedAtMs, lastObservedAtMs, lookups }: Observation): void {
    const fieldOf = (width: number): string =>
      pendingField({
        client,
        slotMs: Math.floor(firstObservedAtMs / width) * width,
        ...(pod === undefined ? {} : { pod }),
      });
    const field = fieldOf(EVIDENCE_SLOT_MS);
    const row = this.rows.get(field);
    if (row === undefined) {
      const dayField = fieldOf(DAY_MS);
      this.rows.set(field, { dayField, firstMs: firstObservedAtMs, lastMs: lastObservedAtMs, lookups });
      return;
    }
    row.firstMs = Math.min(row.firstMs, firstObservedAtMs);
    row.lastMs = Math.max(row.lastMs, lastObservedAtMs);
    row.lookups += lookups;
  }
}

/** The observations by host, in the order in which hosts come first. */
export function groupObservations(observations: readonly Observation[]): readonly ObservationGroup[] {
  const groups = new Map<Hostname, ObservationGroup>();
  for (const observation of observations) {
    let group = groups.get(observation.hostname);
    if (group === undefined) {
      group = new ObservationGroup(observation.hostname);
      groups.set(observation.hostname, group);
    }
    group.add(observation);
  }
  return [...groups.values()];
}
