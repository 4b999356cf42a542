import { DnstapType, encodeDnstap, MessageType, Sender, SocketFamily, SocketProtocol } from 'dnstap-ts';
import { openRedisStore } from '../../src/host/redis-store.js';
import { encodeResponse } from '../support/dns-response.js';
import { startProgram, type Program } from '../support/program.js';
import { startRedis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

const NAMES = 200;
const CLIENTS = 500;
const FRAMES_A_ROUND = NAMES * CLIENTS;
const ROUNDS = 8;
/** Enough for the program and what it may keep; far less than it would take to keep what all rounds teach. */
const HEAP_MIB = 96;
const LOSSES = ['store-unavailable', 'dropped'];

const messages = Array.from({ length: NAMES }, (_, index) =>
  encodeResponse({ name: `api.service-${index}.example`, answers: [`api.service-${index}.example A 192.0.2.1`] }),
);

function frame(name: number, client: number): Uint8Array {
  const seconds = BigInt(Math.floor(Date.now() / 1000));
  return encodeDnstap({
    type: DnstapType.MESSAGE,
    message: {
      type: MessageType.CLIENT_RESPONSE,
      socketFamily: SocketFamily.INET,
      socketProtocol: SocketProtocol.UDP,
      queryAddress: Uint8Array.of(10, 244, client >> 8, client & 255),
      queryPort: 40_000,
      queryTimeSec: seconds,
      queryTimeNsec: 0,
      responseTimeSec: seconds,
      responseTimeNsec: 0,
      responseMessage: messages[name] ?? Buffer.alloc(0),
    },
  });
}

async function metric(program: Program, name: string): Promise<number> {
  const text = await (await fetch(`${program.url}/metrics`)).text();
  return Number(new RegExp(`^istio_discovery_${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

it('a collector whose Redis is away takes all that comes in bounded memory, counts what it lost, and recovers by itself', async () => {
  const redis = await startRedis();
  const socket = createTemporaryDirectory().file('dnstap.sock');
  const program = await startProgram(
    'collect',
    [`--dnstap=unix://${socket}`, `--store=${redis.url}`, '--observation-max-pairs=1024', '--observation-flush-ms=100'],
    { NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` },
  );
  const sender = new Sender({ endpoint: `unix://${socket}`, maxQueueBytes: 256 * 1_048_576 });
  sender.start();
  await redis.kill('SIGKILL');

  for (let round = 1; round <= ROUNDS; round++) {
    for (let client = 0; client < CLIENTS; client++) {
      for (let name = 0; name < NAMES; name++) sender.send(frame(name, client));
      if (client % 50 === 0) await sender.flush();
    }
    await sender.flush();
    await waitUntil(async () => (await metric(program, 'observation_responses_total')) === round * FRAMES_A_ROUND, {
      what: `round ${round}`,
    });
  }
  expect(await metric(program, 'observation_lost_total')).toBeGreaterThan(0);
  expect(await metric(program, 'host_recorded_total')).toBe(0);
  expect(program.isRunning()).toBe(true);

  await redis.restart();
  await waitUntil(async () => (await metric(program, 'host_recorded_total')) > 0, { what: 'Redis to be found again' });
  const store = openRedisStore({ url: redis.url });
  const reasons = async (): Promise<readonly string[]> => (await store.blindWindows()).map(({ reason }) => reason);
  const isTold = async (): Promise<boolean> => (await reasons()).some((reason) => LOSSES.includes(reason));
  await waitUntil(isTold, { what: 'a blind window that says that something was lost' });
  expect((await store.statistics()).hosts).toBeGreaterThan(0);
  await store.close();
  await sender.close();
});
