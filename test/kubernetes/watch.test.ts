import type { IncomingMessage, ServerResponse } from 'node:http';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import type { KubernetesError } from '../../src/kubernetes/kubernetes-error.js';
import type { KubernetesObject } from '../../src/kubernetes/kubernetes-object.js';
import { watchResource, type WatchOptions } from '../../src/kubernetes/watch.js';
import { waitUntil } from '../support/wait-until.js';
import { sendJson, startFakeApiServer, type FakeApiServer } from './fake-api-server.js';

const PODS = { group: '', version: 'v1', plural: 'pods' };

let server: FakeApiServer;
let client: KubernetesClient;
let stop: AbortController;
let running: Promise<void>;
let seen: string[];
let errors: string[];
let delays: number[];

interface Script {
  readonly list?: (response: ServerResponse) => void;
  /** Which version its state has when it is asked for no more. */
  readonly version?: string;
  readonly watch: (response: ServerResponse, version: string | null, count: number) => void;
}

async function watch(
  { list = listOf('5', 'a'), version = '1000', watch: serve }: Script,
  options: Partial<WatchOptions<KubernetesObject>> = {},
): Promise<void> {
  let watches = 0;
  server = await startFakeApiServer((request: IncomingMessage, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://localhost');
    if (searchParams.get('limit') === '1') return listOf(version)(response);
    if (searchParams.get('watch') !== 'true') return list(response);
    watches += 1;
    return serve(response, searchParams.get('resourceVersion'), watches);
  });
  client = KubernetesClient.load({ kubeconfig: server.kubeconfig });
  seen = [];
  errors = [];
  delays = [];
  stop = new AbortController();
  running = watchResource({
    client,
    resource: PODS,
    signal: stop.signal,
    select: (object) => object,
    onList: (objects) => seen.push(`LIST ${objects.map((object) => object.metadata.name).join(' ')}`),
    onEvent: (type, object) => seen.push(`${type} ${object.metadata.name}`),
    onCurrent: (isCurrent) => seen.push(isCurrent ? 'current' : 'behind'),
    onError: (error: KubernetesError, retryInMs) => {
      errors.push(error.code);
      delays.push(retryInMs);
    },
    baseDelayMs: 1,
    random: () => 0.5,
    ...options,
  });
}

afterEach(async () => {
  stop.abort();
  await running;
  await client.close();
  await server.close();
});

function listOf(version: string, ...names: string[]): (response: ServerResponse) => void {
  const items = names.map((name) => ({ metadata: { name } }));
  return (response) => sendJson(response, { kind: 'PodList', metadata: { resourceVersion: version }, items });
}

function send(response: ServerResponse, type: string, version: string, name = 'x'): void {
  const object = { kind: 'Pod', metadata: { name, resourceVersion: version } };
  response.write(`${JSON.stringify({ type, object })}\n`);
}

describe('watchResource', () => {
  it('lists, then tells what happens from there on', async () => {
    await watch({
      watch: (response, version) => {
        send(response, 'ADDED', '6', `after-${version}`);
        send(response, 'DELETED', '7', 'a');
      },
    });
    await waitUntil(() => seen.length === 4);
    expect(seen).toEqual(['LIST a', 'current', 'ADDED after-5', 'DELETED a']);
  });

  it('goes on from the last version that it saw, bookmarks included', async () => {
    const versions: (string | null)[] = [];
    await watch({
      watch: (response, version, count) => {
        versions.push(version);
        if (count === 1) send(response, 'ADDED', '6');
        if (count === 2) send(response, 'BOOKMARK', '9');
        if (count < 3) response.end();
        else response.flushHeaders();
      },
    });
    await waitUntil(() => versions.length === 3);
    expect(versions).toEqual(['5', '6', '9']);
    expect(seen.filter((event) => event.startsWith('LIST'))).toHaveLength(1);
  });

  it('lists again when the state of the server is older than what it has told', async () => {
    const versions: (string | null)[] = [];
    await watch({
      version: '9',
      watch: (response, version, count) => {
        versions.push(version);
        if (count === 1) send(response, 'ADDED', '10');
        if (count === 1) response.end();
        else response.flushHeaders();
      },
    });
    await waitUntil(() => versions.length === 2);
    expect(versions).toEqual(['5', '5']);
    expect(seen.filter((event) => event.startsWith('LIST'))).toHaveLength(2);
  });

  it('takes an event that comes in pieces', async () => {
    const line = `${JSON.stringify({ type: 'ADDED', object: { metadata: { name: 'é' } } })}\n`;
    const bytes = Buffer.from(line);
    await watch({
      watch: (response) => {
        const writeFrom = (start: number): void => {
          if (start >= bytes.length) return;
          response.write(bytes.subarray(start, start + 1), () => setImmediate(() => writeFrom(start + 1)));
        };
        writeFrom(0);
      },
    });
    await waitUntil(() => seen.includes('ADDED é'));
    expect(errors).toEqual([]);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    [
      'as an event',
      (response) => {
        response.write(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`);
      },
    ],
    ['as an answer', (response) => sendJson(response, { kind: 'Status' }, 410)],
  ])('lists again when the server says 410 %s', async (_what, gone) => {
    await watch({
      watch: (response, _version, count) => {
        if (count === 1) gone(response);
        else response.flushHeaders();
      },
    });
    await waitUntil(() => seen.filter((event) => event === 'LIST a').length === 2 && seen.at(-1) === 'current');
    expect(errors).toEqual(['KUBERNETES_ERR_GONE']);
    expect(seen).toContain('behind');
  });

  it('notices a connection that has gone silent', async () => {
    await watch({ watch: (response) => response.flushHeaders() }, { silenceMs: 30 });
    await waitUntil(() => server.requests.filter((request) => request.includes('watch=true')).length >= 2);
    expect(errors[0]).toBe('KUBERNETES_ERR_TIMEOUT');
  });

  it('backs off ever longer from a server that ends every watch at once', async () => {
    await watch({ watch: (response) => response.end() });
    await waitUntil(() => delays.length >= 6);
    expect(delays.slice(0, 6)).toEqual([0.75, 1.5, 3, 6, 12, 24]);
  });

  it('survives an error of the list, and says that it is not up to date until it is', async () => {
    let lists = 0;
    await watch({
      list: (response) => {
        lists += 1;
        if (lists < 3) sendJson(response, {}, 500);
        else listOf('5', 'a')(response);
      },
      watch: (response) => response.flushHeaders(),
    });
    await waitUntil(() => seen.includes('current'));
    expect(seen).toEqual(['behind', 'behind', 'LIST a', 'current']);
    expect(errors).toEqual(['KUBERNETES_ERR_SERVER', 'KUBERNETES_ERR_SERVER']);
  });

  it.each([
    ['no JSON', '{"type":\n'],
    ['no event', '7\n'],
  ])('does not stop at a line that is %s', async (_what, line) => {
    await watch({
      watch: (response, _version, count) => {
        if (count === 1) response.write(line);
        else send(response, 'ADDED', '6');
      },
    });
    await waitUntil(() => seen.includes('ADDED x'));
    expect(errors).toEqual(['KUBERNETES_ERR_PROTOCOL']);
  });

  it('does not take an error of its caller for one of the connection', async () => {
    const fault = new Error('of the caller');
    await watch(
      { watch: (response) => send(response, 'ADDED', '6') },
      {
        onEvent: () => {
          throw fault;
        },
      },
    );
    await expect(running).rejects.toBe(fault);
    running = Promise.resolve();
    expect(errors).toEqual([]);
  });
});
