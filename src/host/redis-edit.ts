import type { Hostname } from '../dns/hostname.js';
import type { HostCore } from './host-core.js';
import { HostStoreError } from './host-store-error.js';
import { hostsKey, shardOf } from './keys.js';
import type { RedisCalls } from './redis-calls.js';
import { readCore, readReply, storyOf, writeHost } from './redis-host.js';
import { writeStory } from './redis-story.js';

/** Hosts that are read and written at once. */
const PAGE_HOSTS = 500;
/** Each failure means that somebody else's change took place. */
const MAX_EDIT_FAILURES = 100;

/**
 * Changes hosts by a pure function of what is stored, and again those that somebody else changed meanwhile.
 *
 * @param apply gives the new core; undefined when nothing is to be changed.
 */
export async function editHosts<C extends { readonly hostname: Hostname }>(
  calls: RedisCalls,
  changes: readonly C[],
  apply: (core: HostCore | undefined, change: C) => HostCore | undefined,
): Promise<void> {
  // By shard, so that the replies of a cluster come in the same order.
  let open = groupByHost(changes).toSorted(([a], [b]) => shardOf(a) - shardOf(b));
  for (let failures = 0; open.length > 0;) {
    const page = open.slice(0, PAGE_HOSTS);
    const replies = await calls.read(page.map(([hostname]) => hostname));
    const edits = page.flatMap((group, index) => toEdit(group, replies[index] ?? '', apply) ?? []);
    const isSet = await calls.run((of) => {
      for (const { hostname, before, after } of edits) {
        const [scripts, keys] = [of(shardOf(hostname)), [hostsKey(shardOf(hostname))]];
        if (before === undefined) scripts.addHost(keys, hostname, writeHost(after, []));
        else scripts.editStory(keys, hostname, before, writeStory(after));
      }
    });
    const failed = new Set(edits.filter((_, index) => isSet[index] !== 1).map(({ hostname }) => hostname));
    failures = failed.size === 0 ? 0 : failures + 1;
    if (failures > MAX_EDIT_FAILURES) throw tooBusy('hosts');
    open = [...page.filter(([hostname]) => failed.has(hostname)), ...open.slice(PAGE_HOSTS)];
  }
}

/** Changes one field of a hash of the first shard by a pure function of what it holds; true when it held nothing. */
export async function editField(
  calls: RedisCalls,
  { key, field }: { readonly key: string; readonly field: string },
  apply: (text: string) => string,
): Promise<boolean> {
  for (let failures = 0; failures <= MAX_EDIT_FAILURES; failures++) {
    const text = (await calls.call((client) => client.hget(key, field))) ?? '';
    if (await setFields(calls, key, [field, text, apply(text)])) return text === '';
  }
  throw tooBusy(field);
}

/**
 * Sets fields of a hash of the first shard, if they still are what is expected.
 *
 * @param fields name, value expected and value to set of each; empty is absent.
 */
export async function setFields(calls: RedisCalls, key: string, fields: readonly string[]): Promise<boolean> {
  const [isSet] = await calls.run((of) => of(0).compareAndSet([key], ...fields));
  return isSet === 1;
}

function tooBusy(what: string): HostStoreError {
  return new HostStoreError('HOST_STORE_UNAVAILABLE', `${what}: others change it faster than it can be edited`);
}

type HostGroup<C> = readonly [hostname: Hostname, changes: readonly C[]];

function groupByHost<C extends { readonly hostname: Hostname }>(changes: readonly C[]): readonly HostGroup<C>[] {
  const groups = new Map<Hostname, C[]>();
  for (const change of changes) {
    const group = groups.get(change.hostname);
    if (group === undefined) groups.set(change.hostname, [change]);
    else group.push(change);
  }
  return [...groups];
}

interface HostEdit {
  readonly hostname: Hostname;
  /** The story as it is stored; undefined for a new host. */
  readonly before: string | undefined;
  readonly after: HostCore;
}

function toEdit<C>(
  [hostname, changes]: HostGroup<C>,
  reply: string,
  apply: (core: HostCore | undefined, change: C) => HostCore | undefined,
): HostEdit | undefined {
  const { text } = readReply(reply);
  const known = readCore(text);
  const after = changes.reduce<HostCore | undefined>((core, change) => apply(core, change) ?? core, known);
  if (after === undefined || after === known) return undefined;
  return { hostname, before: known && storyOf(text), after };
}
