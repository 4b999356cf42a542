import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { answersHttp } from '../support/probe.js';
import { startPart } from '../support/process.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { createBundle } from './create-bundle.js';

let bundle: string;

async function bundled(...args: readonly string[]): Promise<string> {
  return (await runCommand(process.execPath, [join(bundle, 'main.js'), ...args])).stdout;
}

beforeAll(async () => {
  bundle = await createBundle();
});

describe('the bundle', () => {
  it('knows its version', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(await bundled('--version')).toBe(`${version}\n`);
  });

  it('has the native part of the embedded store', async () => {
    expect(
      JSON.parse(await bundled('hosts', '--store', `embedded://${createTemporaryDirectory().path}`, '-o', 'json')),
    ).toEqual([]);
  });

  it('collects while Redis is away, and ends on SIGTERM', async () => {
    const [dnstap, http, redis] = [await freePort(), await freePort(), await freePort()];
    const collector = await startPart({
      name: 'collect',
      command: process.execPath,
      args: [
        join(bundle, 'main.js'),
        'collect',
        `--dnstap=tcp://127.0.0.1:${dnstap}`,
        `--http-address=127.0.0.1:${http}`,
        `--store=redis://127.0.0.1:${redis}`,
      ],
      ready: async () => answersHttp(`http://127.0.0.1:${http}/livez`),
    });
    await collector.kill('SIGTERM');
    expect(collector.isRunning()).toBe(false);
  });

  it('comes with the licence of every package inside', () => {
    const notices = readFileSync(join(bundle, 'THIRD-PARTY-NOTICES'), 'utf8');
    for (const name of ['commander', 'ioredis', 'protobufjs', 'zod', 'classic-level']) {
      expect(notices).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\((?:MIT|BSD-3-Clause)\\) `, 'm'));
    }
    expect(notices).toContain('The LevelDB Authors');
    expect(notices).toContain('Google Inc');
  });
});
