import { writeFileSync } from 'node:fs';
import { KubernetesClient, parseWarnings } from '../../src/kubernetes/client.js';
import { listResource } from '../../src/kubernetes/list.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { sendJson, startFakeApiServer, type FakeApiServer } from './fake-api-server.js';

const PODS = { group: '', version: 'v1', plural: 'pods' };

let server: FakeApiServer | undefined;
let client: KubernetesClient | undefined;

afterEach(async () => {
  await client?.close();
  await server?.close();
});

async function connect(answer: Parameters<typeof startFakeApiServer>[0], timeoutMs = 5000): Promise<KubernetesClient> {
  server = await startFakeApiServer(answer);
  client = KubernetesClient.load({ kubeconfig: server.kubeconfig, timeoutMs });
  return client;
}

describe('KubernetesClient', () => {
  it('takes server and namespace from the kubeconfig', async () => {
    const api = await connect((_request, response) => sendJson(response, {}));
    expect(api.namespace).toBe('shop');
    expect(api.server).toMatch(/^http:\/\/127\.0\.0\.1:/);
  });

  it('keeps its connections', async () => {
    const api = await connect((_request, response) => sendJson(response, {}));
    for (let count = 0; count < 20; count += 1) await api.request({ method: 'GET', path: '/version' });
    // The second request can come before the first connection is free again.
    expect(server?.connections()).toBeLessThanOrEqual(2);
  });

  it.each<[string, number, unknown, string]>([
    ['401', 401, {}, 'KUBERNETES_ERR_UNAUTHORIZED'],
    ['403', 403, {}, 'KUBERNETES_ERR_FORBIDDEN'],
    ['404', 404, {}, 'KUBERNETES_ERR_NOT_FOUND'],
    ['a conflict', 409, { reason: 'Conflict' }, 'KUBERNETES_ERR_CONFLICT'],
    ['an object that is there', 409, { reason: 'AlreadyExists' }, 'KUBERNETES_ERR_ALREADY_EXISTS'],
    ['410', 410, {}, 'KUBERNETES_ERR_GONE'],
    ['422', 422, {}, 'KUBERNETES_ERR_INVALID'],
    ['429', 429, {}, 'KUBERNETES_ERR_TOO_MANY_REQUESTS'],
    ['500', 500, {}, 'KUBERNETES_ERR_SERVER'],
    ['503', 503, {}, 'KUBERNETES_ERR_SERVER'],
  ])('has a code for %s', async (_what, status, body, code) => {
    const api = await connect((_request, response) => sendJson(response, body, status));
    await expect(api.request({ method: 'GET', path: '/version' })).rejects.toMatchObject({ code, status });
  });

  it('passes on how long it is asked to wait', async () => {
    const api = await connect((_request, response) => {
      response.writeHead(429, { 'Retry-After': '7' }).end('slow down');
    });
    await expect(api.request({ method: 'GET', path: '/version' })).rejects.toMatchObject({ retryAfterMs: 7000 });
  });

  it('takes an answer that is no JSON for an error', async () => {
    const api = await connect((_request, response) => response.end('<html>'));
    const code = 'KUBERNETES_ERR_PROTOCOL';
    await expect(api.request({ method: 'GET', path: '/version' })).rejects.toMatchObject({ code });
  });

  it('gives up on a server that does not answer', async () => {
    const api = await connect(() => undefined, 50);
    const code = 'KUBERNETES_ERR_TIMEOUT';
    await expect(api.request({ method: 'GET', path: '/version' })).rejects.toMatchObject({ code });
  });

  it('gives up on a server that stops in the middle of an answer', async () => {
    const api = await connect((_request, response) => response.write('{'), 50);
    const code = 'KUBERNETES_ERR_TIMEOUT';
    await expect(api.request({ method: 'GET', path: '/version' })).rejects.toMatchObject({ code });
  });

  it('gives up when it is told to', async () => {
    const api = await connect(() => undefined);
    const controller = new AbortController();
    const answer = api.request({ method: 'GET', path: '/version', signal: controller.signal });
    controller.abort();
    await expect(answer).rejects.toMatchObject({ code: 'KUBERNETES_ERR_ABORTED' });
  });

  it('says when nobody listens', async () => {
    const api = await connect((_request, response) => sendJson(response, {}));
    await server?.close();
    const code = 'KUBERNETES_ERR_UNREACHABLE';
    await expect(api.request({ method: 'GET', path: '/version' })).rejects.toMatchObject({ code });
  });

  it.each([
    ['that is not there', 'absent', undefined],
    ['without the context', '{"contexts": [], "clusters": []}', 'other'],
    ['that is no YAML', '{{', undefined],
    ['that is empty', '', undefined],
  ])('refuses a kubeconfig %s', (_what, content, context) => {
    const file = createTemporaryDirectory().file('kubeconfig');
    if (content !== 'absent') writeFileSync(file, content);
    const load = (): unknown => KubernetesClient.load({ kubeconfig: file, ...(context !== undefined && { context }) });
    expect(load).toThrow(expect.objectContaining({ code: 'KUBERNETES_ERR_CONFIG' }));
  });
});

describe('parseWarnings', () => {
  it('reads the texts of one header and of several that were joined', () => {
    expect(parseWarnings(undefined)).toEqual([]);
    expect(parseWarnings('299 - "addresses are required"')).toEqual(['addresses are required']);
    expect(parseWarnings('299 - "one, two", 299 - "say \\"three\\""')).toEqual(['one, two', 'say "three"']);
  });
});

describe('listResource', () => {
  const page = (names: readonly string[], more?: string): object => ({
    kind: 'PodList',
    apiVersion: 'v1',
    metadata: { resourceVersion: '7', ...(more !== undefined && { continue: more }) },
    items: names.map((name) => ({ metadata: { name } })),
  });

  it('reads page after page and says what each object is', async () => {
    const api = await connect((request, response) => {
      sendJson(response, request.url?.includes('continue=next') ? page(['b']) : page(['a'], 'next'));
    });
    await expect(listResource({ client: api, resource: PODS, pageSize: 1 })).resolves.toEqual({
      items: ['a', 'b'].map((name) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name } })),
      resourceVersion: '7',
    });
  });

  it('is an error when a later page is one', async () => {
    const api = await connect((request, response) => {
      if (request.url?.includes('continue=')) sendJson(response, {}, 500);
      else sendJson(response, page(['a'], 'next'));
    });
    await expect(listResource({ client: api, resource: PODS })).rejects.toMatchObject({
      code: 'KUBERNETES_ERR_SERVER',
    });
  });

  it('begins once more when the server has forgotten the pages', async () => {
    let expired = 0;
    const api = await connect((request, response) => {
      if (request.url?.includes('continue=') !== true) return sendJson(response, page(['a'], 'next'));
      expired += 1;
      return expired === 1 ? sendJson(response, {}, 410) : sendJson(response, page(['b']));
    });
    const { items } = await listResource({ client: api, resource: PODS });
    expect(items.map((item) => item.metadata.name)).toEqual(['a', 'b']);
  });

  it.each([
    ['without items that are objects', { kind: 'PodList', metadata: { resourceVersion: '1' }, items: [1] }],
    ['without a version', { kind: 'PodList', metadata: {}, items: [] }],
    ['that is no list', { kind: 'Status' }],
  ])('takes an answer %s for an error', async (_what, body) => {
    const api = await connect((_request, response) => sendJson(response, body));
    await expect(listResource({ client: api, resource: PODS })).rejects.toMatchObject({
      code: 'KUBERNETES_ERR_PROTOCOL',
    });
  });
});
