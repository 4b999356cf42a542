import { existsSync, readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Redis as RedisClient } from 'ioredis';
import { commandEnvironment, ROOT } from './command.js';
import { startEtcd } from './etcd.js';
import { startPart } from './process.js';
import { answersHttp } from './probe.js';
import { startRedis, type Redis } from './redis.js';
import { createTemporaryDirectory } from './temporary-directory.js';
import { waitUntil } from './wait-until.js';

const FIXTURE = 'test/support/left-behind.fixture.ts';

/** Signal 0 asks whether a process exists. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function withClient<T>({ url }: Redis, use: (client: RedisClient) => Promise<T>): Promise<T> {
  const client = new RedisClient(url, { retryStrategy: null });
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

describe('a part', () => {
  it('answers, and leaves no process and no directory after stop, however often that is called', async () => {
    const etcd = await startEtcd();
    const pid = etcd.pid();
    expect(await answersHttp(`${etcd.url}/version`)).toBe(true);
    expect(exists(pid)).toBe(true);
    await etcd.stop();
    await etcd.stop();
    expect(etcd.isRunning()).toBe(false);
    expect(exists(pid)).toBe(false);
    await expect(answersHttp(`${etcd.url}/version`)).rejects.toThrow();
  });

  it('keeps over SIGKILL and restart what it acknowledged', async () => {
    const redis = await startRedis();
    const pid = redis.pid();
    await withClient(redis, async (client) => client.set('key', 'value'));
    await redis.kill('SIGKILL');
    expect(redis.isRunning()).toBe(false);
    await redis.restart();
    expect(redis.pid()).not.toBe(pid);
    expect(await withClient(redis, async (client) => client.get('key'))).toBe('value');
    expect(redis.log().match(/Ready to accept connections/g)).toHaveLength(2);
    await redis.stop();
  });

  it('can be halted with SIGSTOP and stopped all the same', async () => {
    const redis = await startRedis();
    await redis.kill('SIGSTOP');
    await redis.stop();
    expect(redis.isRunning()).toBe(false);
  });

  it('shows the end of its log when it ends before it answers', async () => {
    const failing = startPart({
      name: 'failing',
      command: 'sh',
      args: ['-c', 'echo what went wrong; exit 3'],
      ready: () => false,
    });
    await expect(failing).rejects.toMatchObject({
      code: 'TEST_ERR_PART_EXITED',
      message: expect.stringContaining('what went wrong'),
    });
  });

  it('is ended when it does not answer in time', async () => {
    const directory = createTemporaryDirectory();
    const silent = startPart({
      name: 'silent',
      command: 'sh',
      args: ['-c', `echo $$ >${directory.file('pid')}; exec sleep 600`],
      ready: () => existsSync(directory.file('never')),
      readyTimeoutMs: 300,
    });
    await expect(silent).rejects.toMatchObject({ code: 'TEST_ERR_PART_NOT_READY' });
    expect(exists(Number(readFileSync(directory.file('pid'), 'utf8')))).toBe(false);
  });
});

describe('a test run', () => {
  interface LeftBehind {
    readonly pids: readonly number[];
    readonly directory: string;
  }

  function startJest(mode: 'wait' | 'fail'): { jest: ReturnType<typeof spawn>; left: () => Promise<LeftBehind> } {
    const report = createTemporaryDirectory().file('left-behind.json');
    const args = ['node_modules/jest/bin/jest.js', '--runInBand', '--testMatch', `**/${FIXTURE}`];
    const jest = spawn(process.execPath, args, {
      cwd: ROOT,
      env: commandEnvironment({ LEFT_BEHIND_REPORT: report, LEFT_BEHIND_MODE: mode }),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // The fixture writes the report in one go, and only what it says can be parsed.
    const left = async (): Promise<LeftBehind> =>
      waitUntil(() => JSON.parse(readFileSync(report, 'utf8')) as LeftBehind, { what: 'the report of the fixture' });
    return { jest, left };
  }

  it.each(['SIGKILL', 'SIGINT'] as const)('that gets %s leaves no process and no directory', async (signal) => {
    const { jest, left } = startJest('wait');
    jest.stderr?.resume();
    const { pids, directory } = await left();
    expect(pids.map(exists)).toEqual([true, true]);
    expect(existsSync(directory)).toBe(true);
    jest.kill(signal);
    await once(jest, 'exit');
    await waitUntil(() => !pids.some(exists) && !existsSync(directory), { what: 'the end of what was left behind' });
    expect(pids.some(exists)).toBe(false);
  });

  it('that fails shows the log of its parts, and leaves nothing', async () => {
    const { jest, left } = startJest('fail');
    let output = '';
    jest.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [status] = (await once(jest, 'close')) as [number];
    const { pids, directory } = await left();
    expect(status).toBe(1);
    expect(output).toContain('Ready to accept connections');
    expect(pids.some(exists)).toBe(false);
    expect(existsSync(directory)).toBe(false);
  });
});
