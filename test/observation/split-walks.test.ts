import { readdirSync } from 'node:fs';
import { BlockList } from 'node:net';
import { join } from 'node:path';
import { DnstapView, MessageType, readFrameStreamFile } from 'dnstap-ts';
import { createFrameIntake } from '../../src/intake/frame-intake.js';
import { createObservationTable, type ObservationTable } from '../../src/observation/observation-table.js';
import { ROOT } from '../support/command.js';

const DIRECTORY = join(ROOT, 'test', 'data', 'resolvers');
const CAPTURES = readdirSync(DIRECTORY).filter((name) => name.endsWith('.fstrm.gz'));

function newTable(collectors: number): ObservationTable {
  return createObservationTable({
    clusterDomains: ['cluster.local'],
    internalZones: [],
    searchDomains: [],
    clusterNetworks: new BlockList(),
    maxPairs: 4096,
    seed: 1,
    origin: 'dnstap',
    now: Date.now,
    peers: () => collectors - 1,
  });
}

/** Hosts that so many collectors learn, when kube-proxy gives each socket of a client a replica of its own. */
async function hostsLearnt(capture: string, collectors: number, salt: number): Promise<readonly string[]> {
  const tables = Array.from({ length: collectors }, () => newTable(collectors));
  const intakes = tables.map(createFrameIntake);
  const view = new DnstapView({ only: MessageType.CLIENT_RESPONSE });
  await readFrameStreamFile(join(DIRECTORY, capture), {
    onFrame: (buffer, start, end) => {
      const isRead = view.scan(buffer, start, end) && view.type === MessageType.CLIENT_RESPONSE;
      const replica = isRead ? Math.imul(view.queryPort + salt, 0x9e3779b1) >>> 16 : 0;
      intakes[replica % collectors]?.(buffer, start, end);
    },
  });
  const drained = tables.map((table) => table.drain({ final: true, nowMs: Date.now() }).observations);
  return [...new Set(drained.flat().map(({ hostname }) => hostname))].sort();
}

it.each(CAPTURES)(
  '%s teaches several collectors, which each see parts of its walks, the same hosts as one',
  async (name) => {
    const alone = await hostsLearnt(name, 1, 0);
    expect(alone.length).toBeGreaterThan(0);
    for (const collectors of [2, 5]) {
      for (const salt of [1, 2]) expect(await hostsLearnt(name, collectors, salt)).toEqual(alone);
    }
  },
);
