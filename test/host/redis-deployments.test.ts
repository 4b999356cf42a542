import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hostname } from '../../src/dns/hostname.js';
import type { HostStore } from '../../src/host/host-store.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { Authority } from '../../src/dnstap-ts/test/support/certificates.js';
import { ROOT, runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { startRedisCluster } from '../support/redis-cluster.js';
import { startWatchedRedis } from '../support/redis-sentinel.js';
import { startRedis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { batch, observation } from './host-store.contract.js';

const nameOf = (sequence: number): Hostname => `h.d${sequence}.example` as Hostname; // valid by hand

/** Records batch after batch, each until it is acknowledged, as a collector does. */
class Stream {
  readonly acknowledged: number[] = [];
  failures = 0;
  #isStopped = false;
  readonly #done: Promise<void>;

  constructor(store: HostStore) {
    this.#done = this.#run(store);
  }

  async reaches(count: number): Promise<void> {
    await waitUntil(() => this.acknowledged.length >= count, { what: `${count} batches`, timeoutMs: 40_000 });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #run(store: HostStore): Promise<void> {
    for (let sequence = 1; !this.#isStopped;) {
      try {
        await store.record(batch(sequence, [observation({ hostname: nameOf(sequence) })]));
        this.acknowledged.push(sequence);
        sequence += 1;
      } catch (err) {
        if ((err as { code?: unknown }).code !== 'HOST_STORE_UNAVAILABLE') throw err; // what record() rejects with
        this.failures += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

/** The sequences whose host is not there exactly once. */
async function wrong(store: HostStore, sequences: readonly number[]): Promise<number[]> {
  const lookups = new Map<string, number>();
  for await (const record of store.list()) lookups.set(record.hostname, record.lookups);
  return sequences.filter((sequence) => lookups.get(nameOf(sequence)) !== 1);
}

describe('Redis behind sentinels', () => {
  it('a fail-over in mid-stream loses nothing that the replica had, counts nothing twice, and needs nobody', async () => {
    const watched = await startWatchedRedis();
    const store = openRedisStore({ url: watched.url });
    const stream = new Stream(store);
    await stream.reaches(200);
    const replicated = [...stream.acknowledged];
    // Redis replicates after it has acknowledged: this says that the replica has all that was acknowledged so far.
    await runCommand('redis-cli', ['-p', String(watched.master.port), 'wait', '1', '5000']);
    await stream.reaches(replicated.length + 50);
    const beforeKill = stream.acknowledged.length;
    await watched.master.kill('SIGKILL');
    await waitUntil(async () => (await watched.masterPort()) === watched.replica.port, { what: 'the fail-over' });
    await stream.reaches(beforeKill + 100);
    await stream.stop();
    expect(stream.failures).toBeGreaterThan(0);
    expect(await wrong(store, replicated)).toEqual([]);
    expect(await wrong(store, stream.acknowledged.slice(beforeKill + 1))).toEqual([]);
    await store.close();
  });
});

describe('a Redis cluster', () => {
  it('loses nothing acknowledged while slots move and while a node restarts after kill -9', async () => {
    const cluster = await startRedisCluster();
    const store = openRedisStore({ url: cluster.url });
    const stream = new Stream(store);
    await stream.reaches(100);
    await cluster.moveSlots(3000);
    await stream.reaches(stream.acknowledged.length + 100);
    await cluster.nodes[1]?.kill('SIGKILL');
    await waitUntil(() => stream.failures > 0, { what: 'the failure to show' });
    await cluster.nodes[1]?.restart();
    await stream.reaches(stream.acknowledged.length + 100);
    await stream.stop();
    expect(await wrong(store, stream.acknowledged)).toEqual([]);
    await store.close();
  });
});

/** `SETUSER …` with the rights in the README, and those of a cluster. */
function aclWords(): readonly string[] {
  const readme = readFileSync(join(ROOT, 'src', 'host', 'README.md'), 'utf8');
  const line = /^ACL (SETUSER istio-discovery .*)$/m.exec(readme)?.[1] ?? '';
  return [...line.split(' '), '+cluster|info', '+cluster|slots'];
}

describe('Redis with TLS and a user of the ACL', () => {
  const directory = createTemporaryDirectory();
  const file = (name: string, text: string): string => {
    writeFileSync(directory.file(name), text);
    return directory.file(name);
  };
  const authority = new Authority();
  const ca = file('ca.pem', authority.cert);
  const server = authority.issue('redis', ['IP:127.0.0.1', 'DNS:redis.example.com']);
  const client = authority.issue('collector');
  afterAll(() => authority.remove());

  it('talks only to a certified server, shows its own certificate, and takes a new password from the file', async () => {
    const tlsPort = await freePort();
    const redis = await startRedis({
      args: [
        ['--tls-port', String(tlsPort), '--tls-ca-cert-file', ca, '--tls-auth-clients', 'yes'],
        ['--tls-cert-file', file('server.pem', server.cert), '--tls-key-file', file('server.key', server.key)],
      ].flat(),
    });
    const setPassword = (change: string) =>
      runCommand('redis-cli', ['-p', String(redis.port), 'acl', 'setuser', 'collector', 'on', change, '~*', '+@all']);
    await setPassword('>first');
    const passwordFile = file('password', 'first\n');
    const options = {
      url: `rediss://127.0.0.1:${tlsPort}`,
      username: 'collector',
      passwordFile,
      tlsCaFile: ca,
      tlsCertFile: file('client.pem', client.cert),
      tlsKeyFile: file('client.key', client.key),
    };
    const fails = async (change: object, code: string): Promise<void> => {
      const store = openRedisStore({ ...options, ...change });
      await expect(store.record(batch(1, [observation()]))).rejects.toMatchObject({ code });
      await store.close();
    };
    await fails({ tlsCaFile: undefined }, 'HOST_STORE_UNAVAILABLE');
    await fails({ tlsCertFile: undefined, tlsKeyFile: undefined }, 'HOST_STORE_UNAVAILABLE');
    await fails({ tlsServerName: 'other.example.com' }, 'HOST_STORE_UNAVAILABLE');
    await fails({ passwordFile: undefined, password: 'wrong' }, 'HOST_STORE_DENIED');

    const store = openRedisStore({ ...options, tlsServerName: 'redis.example.com' });
    await store.record(batch(1, [observation()]));
    await setPassword('<first');
    await setPassword('>second');
    writeFileSync(passwordFile, 'second\n');
    await runCommand('redis-cli', ['-p', String(redis.port), 'client', 'kill', 'user', 'collector']);
    await waitUntil(async () => store.record(batch(2, [observation()])).then(() => true), { what: 'the new password' });
    expect((await store.get(observation().hostname))?.lookups).toBe(2);
    await store.close();
  });

  it('is spoken behind sentinels, with them and with the master that they name', async () => {
    const tls = { ca, cert: file('node.pem', server.cert), key: file('node.key', server.key) };
    const watched = await startWatchedRedis({ tls });
    const stranger = openRedisStore({ url: watched.url });
    await expect(stranger.statistics()).rejects.toMatchObject({ code: 'HOST_STORE_UNAVAILABLE' });
    await stranger.close();
    const store = openRedisStore({ url: watched.url, tlsCaFile: ca });
    await store.record(batch(1, [observation()]));
    expect(await wrong(store, [])).toEqual([]);
    expect((await store.get(observation().hostname))?.lookups).toBe(1);
    await store.close();
  });

  it('is spoken with each node of a cluster, as the user of the README', async () => {
    const tls = { ca, cert: file('node.pem', server.cert), key: file('node.key', server.key) };
    const cluster = await startRedisCluster({ tls });
    const words = aclWords();
    for (const { port } of cluster.nodes) await runCommand('redis-cli', ['-p', String(port), 'acl', ...words]);
    const options = { url: cluster.url, tlsCaFile: ca, username: 'istio-discovery' };
    const stranger = openRedisStore({ ...options, password: 'wrong' });
    await expect(stranger.statistics()).rejects.toMatchObject({ code: 'HOST_STORE_DENIED' });
    await stranger.close();
    const store = openRedisStore({ ...options, password: 'PASSWORD' });
    const sequences = Array.from({ length: 40 }, (_, index) => index + 1);
    for (const sequence of sequences) {
      await store.record(batch(sequence, [observation({ hostname: nameOf(sequence) })]));
    }
    expect(await wrong(store, sequences)).toEqual([]);
    await store.close();
  });

  it('refuses files that cannot be read, by code', () => {
    const url = 'rediss://127.0.0.1:1';
    for (const key of ['passwordFile', 'tlsCaFile', 'tlsCertFile', 'tlsKeyFile']) {
      expect(() => openRedisStore({ url, [key]: directory.file('missing') })).toThrow(
        expect.objectContaining({ code: 'HOST_STORE_CREDENTIALS' }),
      );
    }
  });
});
