import type { Hostname } from '../dns/hostname.js';
import type { Level, StoredHost } from './embedded-edit.js';
import { emptyCore } from './host-core.js';
import { HostStoreError } from './host-store-error.js';
import { registrableDomain } from './registrable-domain.js';
import { MINUTE_MS } from './time-units.js';

/**
 * Keys of the LevelDB database, in its byte order. `!` separates; it is in no name.
 *
 * ```
 *   batch!<source>               BatchWindow
 *   blind!<source>!<reason>      [[from, until], …]
 *   deletion!<namespace>/<name>  AwaitedDeletion
 *   domain!<registrable domain>  number of its hosts
 *   evidence!<hostname>!<field>  [firstSeenMs, lastSeenMs, lookups]   (see evidence-fields.ts)
 *   host!<hostname>              StoredHost
 *   overflow                     StoreOverflow
 *   parent!<parent>              true: its children are not stored
 *   reject!<reason>              RejectionCount
 *   rules                        StoredRuleText
 *   schema                       SCHEMA
 *   seen!<namespace>/<name>      SeenEntry
 *   seen-cluster                 SeenCluster
 *   source!<source>              StoredSource
 * ```
 */
export const SCHEMA = 3;

/** Hosts that are brought up to date in one write. */
const PAGE_HOSTS = 500;

/**
 * Sees to it that the database is of this version of the layout. An older one is brought up to date; whenever that is
 * stopped, opening it again goes on.
 *
 * @throws HostStoreError HOST_STORE_SCHEMA when it is newer, or older and `mayTakeOver` is false.
 */
export async function checkSchema(level: Level, { mayTakeOver }: { readonly mayTakeOver: boolean }): Promise<void> {
  const schema = await level.get('schema');
  if (schema === SCHEMA) return;
  if (schema !== undefined) {
    if (typeof schema !== 'number' || schema > SCHEMA) {
      throw schemaError(schema, 'use the version of istio-discovery that wrote it');
    }
    if (!mayTakeOver) throw schemaError(schema, 'run, collect and reconcile bring it up to date when they start');
    await takeOver(level);
  }
  await level.put('schema', SCHEMA, { sync: true });
}

function schemaError(found: unknown, way: string): HostStoreError {
  const message = `the store holds schema ${JSON.stringify(found)}, expected ${SCHEMA}: ${way}`;
  return new HostStoreError('HOST_STORE_SCHEMA', message);
}

/**
 * Versions 1 and 2 have cores that lack what came later, times in milliseconds where minutes are now, and domains that
 * were not counted from the beginning. A host that is up to date stays as it is, so this may be done again.
 */
async function takeOver(level: Level): Promise<void> {
  const domains = new Map<string, number>();
  let batch = level.batch();
  for await (const [key, value] of level.iterator({ gte: 'host!', lt: 'host"' })) {
    const hostname = key.slice('host!'.length) as Hostname; // written by record() only
    batch.put(key, wholeHost(value as StoredHost));
    const domain = registrableDomain(hostname);
    if (!hostname.startsWith('*.')) domains.set(domain, (domains.get(domain) ?? 0) + 1);
    if (batch.length < PAGE_HOSTS) continue;
    await batch.write();
    batch = level.batch();
  }
  for await (const key of level.keys({ gte: 'domain!', lt: 'domain"' })) batch.del(key);
  for (const [domain, hosts] of domains) batch.put(`domain!${domain}`, hosts);
  await batch.write({ sync: true }); // and with it all before
}

function wholeHost({ core, pending }: StoredHost): StoredHost {
  const toMinute = (atMs: number): number => Math.floor(atMs / MINUTE_MS) * MINUTE_MS;
  const addresses = Object.entries(core.addresses).map(([address, atMs]) => [address, toMinute(atMs)] as const);
  const cnames = { ...core.cnames, atMs: toMinute(core.cnames.atMs) };
  const whole = { ...emptyCore(core.firstSeenMs), ...core, addresses: Object.fromEntries(addresses), cnames };
  return { core: whole, pending };
}
