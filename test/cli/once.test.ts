import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { lookUpOf } from '../observation/look-up.js';
import { ROOT } from '../support/command.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { runProgram } from '../support/program.js';
import { createRunningPod } from '../support/running-pod.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

/* Runs of `--once`, each a process of its own, that have nothing in common but the store. */

const HOUR_MS = 3_600_000;
const POD_ADDRESS = '10.244.0.7';

let directory: string;
let common: readonly string[];

beforeEach(() => {
  directory = createTemporaryDirectory().file('store');
  common = ['--store', `embedded://${directory}`];
});

/** Between two processes: the store is one process's. */
async function withStore<T>(work: (store: HostStore) => Promise<T>): Promise<T> {
  const store = await openEmbeddedStore(directory);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** Deletions that wait, by host and since when. */
async function waiting(): Promise<readonly (readonly [string, number])[]> {
  const deletions = await withStore(async (store) => store.awaitedDeletions());
  return deletions.map(({ name, sinceMs }) => [name, sinceMs]);
}

/** As if an hour had gone by since a deletion was called for, and since an entry was found missing. */
async function letTimePass(): Promise<void> {
  await withStore(async (store) => {
    const deletions = await store.awaitedDeletions();
    await store.awaitDeletions(deletions.map((one) => ({ ...one, sinceMs: one.sinceMs - HOUR_MS })));
    const missing = (await store.seenEntries()).entries.filter(({ missingSinceMs }) => missingSinceMs !== undefined);
    const seen = missing.map((one) => ({ ...one, missingSinceMs: (one.missingSinceMs ?? 0) - HOUR_MS }));
    await store.noteSeen({ seen, gone: [] });
  });
}

async function stateOf(host: string): Promise<string | undefined> {
  return withStore(async (store) => (await store.get(host as never))?.state);
}

interface OnceTarget {
  readonly args: readonly string[];
  readonly entries: () => Promise<readonly string[]>;
}

/** A host that was written is ignored: its entry waits across processes, and the one after the wait deletes it. */
async function checkDeletion(host: string, { args, entries }: OnceTarget): Promise<void> {
  const once = async (): Promise<unknown> => runProgram('reconcile', '--once', ...common, ...args);
  const before = await entries();
  await runProgram('ignore', host, ...common);
  await once();
  const first = await waiting();
  expect(first).toEqual([[`learned-${host}`, expect.any(Number)]]);
  await once();
  expect(await waiting()).toEqual(first); // the wait went on, and did not begin anew
  expect(await entries()).toEqual(before);
  await letTimePass();
  await once();
  expect(await entries()).toEqual(before.filter((name) => !name.includes(host)));
  await once();
  expect(await waiting()).toEqual([]);
}

it('a directory: a deletion waits from one process to the next, beside run --once, which begins no wait anew', async () => {
  const output = createTemporaryDirectory().file('entries');
  const args = ['--output', output];
  const replay = ['run', '--once', '--read', join(ROOT, 'test', 'data', 'coredns.fstrm.gz'), ...common, ...args];
  await runProgram(...replay);
  const entries = async (): Promise<readonly string[]> => readdirSync(output).sort();
  const [file = ''] = await entries();
  const host = file.replace(/^.*?\.learned-(.*)\.yaml$/, '$1');
  await checkDeletion(host, { args, entries });
  const left = await entries();
  await runProgram(...replay); // again: the host stays ignored
  expect(await entries()).toEqual(left);
}, 60_000);

describe('a cluster', () => {
  let server: KubeApiserver;

  beforeAll(async () => {
    server = await startKubeApiserver({ crds: 'istio-crds' });
    await server.kubectl(['create', 'namespace', 'shop']);
    await createRunningPod(server, { namespace: 'shop', name: 'web', podIp: POD_ADDRESS });
  }, 120_000);

  beforeEach(async () => {
    await server.kubectl(['delete', 'serviceentries', '--all', '--namespace=shop']);
    await withStore(async (store) => {
      const observations = ['a', 'b', 'c'].map((name) => lookUpOf(`${name}.example.com`, POD_ADDRESS));
      await store.record({ source: 'test', sequence: 1, observations, rejections: [] });
    });
  });

  const entries = async (): Promise<readonly string[]> =>
    (await server.kubectl(['get', 'serviceentries', '--namespace=shop', '-o', 'name']))
      .split('\n')
      .filter((line) => line !== '');

  const reconcile = async (...args: readonly string[]): Promise<void> => {
    await runProgram('reconcile', '--once', ...common, '--kubeconfig', server.kubeconfigFile, ...args);
  };

  it('a deletion waits from one process to the next', async () => {
    await reconcile();
    await checkDeletion('a.example.com', { args: ['--kubeconfig', server.kubeconfigFile], entries });
    expect(await entries()).toHaveLength(2);
  }, 60_000);

  it('what somebody deleted between two processes is a wish, where that is the setting, and put right where not', async () => {
    const ignore = ['--reconcile-on-deleted', 'ignore'];
    const remove = async (): Promise<unknown> =>
      server.kubectl(['delete', 'serviceentry', 'learned-a.example.com', '--namespace=shop']);
    await reconcile(...ignore);
    const all = await entries();
    expect(all).toHaveLength(3);
    await remove();
    await reconcile();
    expect(await entries()).toEqual(all);
    await reconcile(...ignore);
    await remove();
    await reconcile(...ignore);
    expect(await entries()).toHaveLength(2); // held until it is known why
    expect(await stateOf('a.example.com')).toBe('applied');
    await letTimePass();
    await reconcile(...ignore);
    expect(await stateOf('a.example.com')).toBe('ignored');
    expect(await entries()).toHaveLength(2);
  }, 60_000);
});
