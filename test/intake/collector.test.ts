import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { ControlType, DNSTAP_CONTENT_TYPE, encodeControlFrame } from 'dnstap-ts';
import { Collector } from '../../src/intake/dnstap/collector.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

const log = createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now });
const START = encodeControlFrame({ type: ControlType.START, contentTypes: [DNSTAP_CONTENT_TYPE] });
const STOP = encodeControlFrame({ type: ControlType.STOP, contentTypes: [] });

it('says how many DNS servers are connected, and whether one went without saying so', async () => {
  const path = createTemporaryDirectory().file('s');
  const changes: (readonly [number, boolean])[] = [];
  const collector = new Collector({
    endpoints: [`unix://${path}`],
    intake: () => undefined,
    maxConnections: 10,
    maxFrameBytes: 65_536,
    socketMode: 0o600,
    onConnections: (connections, wasCut) => changes.push([connections, wasCut]),
    log,
  });
  await collector.listen();
  const open = async (bytes: Uint8Array): Promise<Socket> => {
    const socket = connect(path);
    socket.resume().on('error', () => undefined); // how it ends is what the collector is asked
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  };
  const count = async (changed: number): Promise<boolean> => waitUntil(() => changes.length === changed);
  const orderly = await open(START);
  await count(1);
  const killed = await open(START);
  await count(2);
  (await open(new Uint8Array())).destroy(); // no DNS server yet
  orderly.write(STOP);
  await count(3);
  killed.destroy();
  await count(4);
  expect(changes).toEqual([
    [1, false],
    [2, false],
    [1, false],
    [0, true],
  ]);
  await collector.close();
});
