import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Sender } from 'dnstap-ts';
import { ROOT, runCommand } from '../support/command.js';
import { runProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { outcome } from './outcome.js';

const directory = createTemporaryDirectory();

describe('istio-discovery', () => {
  it('prints its version, and help for everything', async () => {
    expect((await runProgram('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const command of ['run', 'collect', 'reconcile', 'plan', 'apply', 'diff', 'hosts', 'lint']) {
      expect((await runProgram(command, '--help')).stdout).toContain(`Usage: istio-discovery ${command}`);
    }
  });

  it('goes on quietly when whoever reads its output has seen enough, as `head` does', async () => {
    const capture = join(ROOT, 'test', 'data', 'coredns.fstrm.gz');
    const where = [
      '--store',
      `embedded://${directory.file('seen-enough')}`,
      '--output',
      directory.file('seen-enough-output'),
    ];
    const command = [process.execPath, join(ROOT, 'dist', 'main.js'), 'run', '--once', '--read', capture, ...where];
    const { stderr } = await runCommand('bash', ['-c', '"$@" | true; exit "${PIPESTATUS[0]}"', 'bash', ...command]);
    expect(stderr).not.toContain('EPIPE');
  });

  it('says that its output could not be written, and fails', async () => {
    const command = [process.execPath, join(ROOT, 'dist', 'main.js'), 'hosts', '--help'];
    const { stdout } = await runCommand('bash', ['-c', '"$@" 2>&1 >/dev/full; echo "status $?"', 'bash', ...command]);
    expect(stdout).toBe('istio-discovery: standard output: ENOSPC: no space left on device, write\nstatus 1\n');
  });

  it('takes in and records on when nobody can read its log any more', async () => {
    const socket = directory.file('no-log.sock');
    const store = `embedded://${directory.file('no-log')}`;
    const where = ['--dnstap', `unix://${socket}`, '--store', store, '--http-address', ''];
    const command = [process.execPath, join(ROOT, 'dist', 'main.js'), 'collect', ...where];
    const role = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = once(role, 'exit');
    await waitUntil(() => existsSync(socket));
    role.stderr.destroy();
    const sender = new Sender({ endpoint: `unix://${socket}` }); // each connection is a line of the log
    for (const round of [1, 2]) {
      sender.send(Buffer.from([round]));
      expect(await sender.flush()).toBe(true);
    }
    await sender.close();
    role.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  it.each([
    ['an unknown command', ['frobnicate'], 'frobnicate'],
    ['an unknown flag', ['run', '--frobnicate'], '--frobnicate'],
    [
      'a wrong value of a flag',
      ['run', '--host-policy', 'lern'],
      'host.policy: got "lern" (flag --host-policy), allowed: observe, learn, approve, frozen',
    ],
    ['no input at all', ['run'], 'dnstap.endpoints'],
    [
      'a port that a proxy needs itself',
      [
        'plan',
        '--istio-ports',
        '15001/TLS',
        '--store',
        `embedded://${directory.file('p')}`,
        '--output',
        directory.path,
      ],
      'istio.ports: got 15001/TLS',
    ],
    ['a store of another kind', ['hosts', '--store', 'mysql://x'], 'store.url: got [redacted] (flag --store)'],
  ])('refuses %s with exit code 2 and names it', async (_, args, expected) => {
    const { code, text } = await outcome(...args);
    expect(code).toBe(2);
    expect(text).toContain(expected);
  });

  it('refuses an unknown setting of the file with exit code 2 and says where it is', async () => {
    const file = directory.file('config.yaml');
    writeFileSync(file, 'host:\n  polcy: learn\n');
    const { code, text } = await outcome('run', '--config', file);
    expect(code).toBe(2);
    expect(text).toContain(`host.polcy (unknown): got "learn" (file ${file})`);
    expect(text).toContain('host.policy');
  });

  it('says with exit code 1 which file cannot be read', async () => {
    const missing = directory.file('missing.fstrm');
    const { code, text } = await outcome(
      'run',
      '--once',
      '--read',
      missing,
      '--store',
      `embedded://${directory.file('s')}`,
      '--output',
      directory.file('o'),
    );
    expect(code).toBe(1);
    expect(text).toContain(missing);
  });

  it.each(['collect', 'run', 'reconcile'])('ends `%s` with a code when its HTTP port is taken', async (role) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo; // a TCP server that listens
    const { code, text } = await outcome(
      role,
      ...(role === 'reconcile' ? [] : ['--dnstap', `unix://${directory.file(`${role}.sock`)}`]),
      ...(role === 'collect' ? [] : ['--output', directory.file(`${role}-output`)]),
      '--store',
      `embedded://${directory.file(`${role}-store`)}`,
      '--http-address',
      `127.0.0.1:${port}`,
    );
    taken.close();
    expect(code).toBe(1);
    expect(text).toContain(`API_ERR_LISTEN: http.address: cannot listen on 127.0.0.1:${port}`);
  });
});
