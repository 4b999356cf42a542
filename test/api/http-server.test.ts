import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { HttpServer } from '../../src/api/http-server.js';
import { Health } from '../../src/telemetry/health.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { waitUntil } from '../support/wait-until.js';

const health = new Health();
let fault: string | undefined;
health.register('reconciler', () => fault);
const createHttpServer = (): HttpServer =>
  new HttpServer({
    address: '127.0.0.1:0',
    health,
    metrics: new Metrics(),
    log: createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now }),
  });
const server = createHttpServer();

beforeAll(async () => server.listen());
afterAll(async () => server.close());

const get = async (path: string, method = 'GET'): Promise<[number, string]> => {
  const response = await fetch(`http://${server.address}${path}`, { method });
  return [response.status, await response.text()];
};

it('is live whatever is not ready, and says what is not', async () => {
  expect(await get('/readyz')).toEqual([200, 'ok\n']);
  fault = 'store is away';
  expect(await get('/livez')).toEqual([200, 'ok\n']);
  expect(await get('/readyz')).toEqual([503, 'reconciler: store is away\n']);
});

it('gives metrics in the Prometheus text format', async () => {
  const [status, text] = await get('/metrics');
  expect(status).toBe(200);
  expect(text).toContain('# TYPE process_cpu_user_seconds_total counter');
});

it('refuses other paths and methods', async () => {
  expect((await get('/'))[0]).toBe(404);
  expect((await get('/livez', 'POST'))[0]).toBe(405);
});

it('takes a bounded number of connections of one address, and the next when one of them has gone', async () => {
  const bounded = createHttpServer();
  await bounded.listen();
  const port = Number(bounded.address.split(':')[1]);
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  const [first, ...others] = await Promise.all(Array.from({ length: 16 }, open));
  await once(await open(), 'close');
  expect([first, ...others].every((socket) => socket?.destroyed === false)).toBe(true);
  first?.destroy();
  await waitUntil(async () => (await fetch(`http://${bounded.address}/livez`)).ok);
  await bounded.close();
});
