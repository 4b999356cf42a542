import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DnstapType, encodeDnstap, MessageType, Sender, SocketFamily } from 'dnstap-ts';
import { runCommand } from '../support/command.js';
import { encodeResponse } from '../support/dns-response.js';
import { freePort } from '../support/free-port.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { answersHttp } from '../support/probe.js';
import { startPart, type Part } from '../support/process.js';
import { createRunningPod } from '../support/running-pod.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { createRenderer, findObject, podTemplate, RELEASE, type RenderedObject } from './chart.js';
import { createBundle } from './create-bundle.js';

const PASSWORD = 'example-password';
const POD_ADDRESS = '10.244.0.7';

let bundle: string;
let server: KubeApiserver;
let redisUrl: string;
let objects: readonly RenderedObject[];
let configurationFile: string;

beforeAll(async () => {
  bundle = await createBundle();
  server = await startKubeApiserver({ crds: 'istio-crds' });
  const render = await createRenderer();
  objects = await render({ reconciler: { replicas: 2 } });
  redisUrl = await startRedis();
  configurationFile = createTemporaryDirectory().file('config.yaml');
  writeFileSync(configurationFile, findObject(objects, 'ConfigMap', RELEASE).data?.['config.yaml'] ?? '');
  for (const namespace of [RELEASE, 'shop']) await server.kubectl(['create', 'namespace', namespace]);
  await server.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}, 120_000);

/** Redis with the chart's own command, configuration and probe, at an address of this test. */
async function startRedis(): Promise<string> {
  const directory = createTemporaryDirectory();
  const file = directory.file('redis.conf');
  const configuration = findObject(objects, 'ConfigMap', `${RELEASE}-redis`).data?.['redis.conf'] ?? '';
  writeFileSync(file, configuration.replace('dir /data', `dir ${directory.path}`));
  const { command = [], readinessProbe } = podTemplate(findObject(objects, 'StatefulSet', `${RELEASE}-redis`)).spec
    .containers[0] as { command?: readonly string[]; readinessProbe: { exec: { command: readonly string[] } } };
  const [program = '', ...args] = command.map((word) =>
    word.replace('/etc/redis/redis.conf', file).replace('$(REDISCLI_AUTH)', PASSWORD),
  );
  const port = await freePort();
  const [shell = '', flag = '', probe = ''] = readinessProbe.exec.command;
  await startPart({
    name: 'redis',
    command: program,
    args: [...args, '--port', String(port), '--bind', '127.0.0.1'],
    directory,
    ready: async () =>
      runCommand(shell, [flag, probe.replace('redis-cli', `redis-cli -p ${port}`)], {
        environment: { REDISCLI_AUTH: PASSWORD },
      }),
  });
  return `redis://127.0.0.1:${port}`;
}

/** Starts a role with the arguments that the chart gives its container, at addresses of this test. */
async function startRole(role: string, replace: Readonly<Record<string, string>>): Promise<Part & { url: string }> {
  const { spec } = podTemplate(findObject(objects, 'Deployment', `${RELEASE}-${role}`));
  const address = `127.0.0.1:${await freePort()}`;
  const replacements = { '--http-address': address, '--config': configurationFile, ...replace };
  const args = (spec.containers[0]?.args ?? []).map((argument) => {
    const [flag = ''] = argument.split('=');
    const value = replacements[flag as keyof typeof replacements] as string | undefined; // most are not replaced
    return value === undefined ? argument : `${flag}=${value}`;
  });
  const extra = Object.entries(replace).flatMap(([flag, value]) =>
    args.some((argument) => argument.startsWith(`${flag}=`)) ? [] : [`${flag}=${value}`],
  );
  const variables = new Set(spec.containers[0]?.env?.map(({ name }) => name));
  const url = `http://${address}`;
  const part = await startPart({
    name: role,
    command: process.execPath,
    args: [join(bundle, 'main.js'), ...args, ...extra],
    environment: {
      ISTIO_DISCOVERY_STORE_URL: redisUrl,
      ISTIO_DISCOVERY_STORE_PASSWORD: PASSWORD,
      ...(variables.has('ISTIO_DISCOVERY_CONFIG') && { ISTIO_DISCOVERY_CONFIG: configurationFile }),
    },
    ready: async () => answersHttp(`${url}/livez`),
  });
  return Object.assign(part, { url });
}

/** What CoreDNS sends when the pod has looked a name up. */
function frameOf(hostname: string): Uint8Array {
  const nowMs = Date.now();
  const time = { sec: BigInt(Math.floor(nowMs / 1000)), nsec: (nowMs % 1000) * 1_000_000 };
  return encodeDnstap({
    type: DnstapType.MESSAGE,
    message: {
      type: MessageType.CLIENT_RESPONSE,
      socketFamily: SocketFamily.INET,
      queryAddress: Uint8Array.from(POD_ADDRESS.split('.').map(Number)),
      queryTimeSec: time.sec,
      queryTimeNsec: time.nsec,
      responseTimeSec: time.sec,
      responseTimeNsec: time.nsec,
      responseMessage: encodeResponse({ name: hostname, answers: [`${hostname} A 192.0.2.10`] }),
    },
  });
}

it('the roles do their work with the arguments and the rights that the chart gives them', async () => {
  await createRunningPod(server, { namespace: 'shop', name: 'web', podIp: POD_ADDRESS });
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  await startRole('collector', { '--dnstap': endpoint });
  const reconciler = await startRole('reconciler', {
    '--kubeconfig': await server.kubeconfigOf(`${RELEASE}-reconciler`, RELEASE),
  });
  await waitUntil(async () => answersHttp(`${reconciler.url}/readyz`), { what: 'the reconciler to be ready' });

  const sender = new Sender({ endpoint });
  sender.start();
  sender.send(frameOf('api.example.com'));
  await sender.close();

  const entries = async (): Promise<string> =>
    server.kubectl(['get', 'serviceentries', '-n', 'shop', '-o', 'jsonpath={.items[*].spec.hosts[*]}']);
  await waitUntil(async () => (await entries()) !== '', { what: 'the ServiceEntry', timeoutMs: 40_000 });
  expect(await entries()).toBe('api.example.com');
  const holder = ['get', 'lease', 'istio-discovery', '-n', RELEASE, '-o', 'jsonpath={.spec.holderIdentity}'];
  // A leader that gets no processor for long gives the Lease up, and takes it again.
  await waitUntil(async () => (await server.kubectl(holder)) !== '', { what: 'the holder of the Lease' });
  expect(reconciler.log()).not.toContain('FORBIDDEN');
});
