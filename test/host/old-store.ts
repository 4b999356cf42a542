import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostRecord } from '../../src/host/host-record.js';
import type { HostStore } from '../../src/host/host-store.js';
import { ROOT } from '../support/command.js';

/** Written by the programs of those versions: what they said of their store, and all that was in it. */
export interface OldStore {
  readonly expected: { readonly hosts: readonly HostRecord[] } & Readonly<Record<string, unknown>>;
  /** Commands that fill a Redis. */
  readonly redis: readonly (readonly [string, ...string[]])[];
  /** Absent where LevelDB has it in no other way now. */
  readonly embedded?: readonly (readonly [string, unknown])[];
}

/** The store of a version of the layout. */
export function readOld(version: number): OldStore {
  return JSON.parse(readFileSync(join(ROOT, 'test', 'host', 'old-stores', `${version}.json`), 'utf8')) as OldStore;
}

/** What the program says of it now: version 1 had no days, flags, ports, decisions and children. */
export function expectedOf({ expected }: OldStore) {
  const none = { days: [], flags: [], ports: [], decisions: [], children: [] };
  return { ...expected, hosts: expected.hosts.map((host) => ({ ...none, ...host })) };
}

/** What a store says now of what was recorded of the old one. */
export async function stateOf(store: HostStore, { expected }: OldStore) {
  const hosts: HostRecord[] = [];
  for await (const host of store.list()) hosts.push(host);
  const state: Record<string, unknown> = { hosts, rejections: await store.rejections() };
  if (expected['sources'] !== undefined) {
    Object.assign(state, { sources: await store.sources(), blindWindows: await store.blindWindows() });
  }
  return expected['overflow'] === undefined ? state : { ...state, overflow: (await store.statistics()).overflow };
}
