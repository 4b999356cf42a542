import { readFileSync, writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { corefileCommand } from '../../src/cli/corefile.js';
import { ExitError } from '../../src/cli/exit-error.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { runProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

const KUBEADM = fileURLToPath(new URL('../install/corefile/corefiles/kubeadm.corefile', import.meta.url));
const TAP = ['--endpoint', 'unix:///run/istio-discovery/dnstap.sock', '--coredns', 'v1.11.3'];
const directory = createTemporaryDirectory();

interface Outcome {
  readonly code: number | string;
  readonly bytes: Buffer;
  readonly stdout: string;
  readonly stderr: string;
}

/** Exit status (of commander: its code) and output of `corefile …`, in this process. */
async function corefile(args: readonly string[], input = ''): Promise<Outcome> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end(input);
  // A stream is enough: colours are not asked for.
  const terminal = { stdin, stdout, stderr } as unknown as Terminal;
  const code = await corefileCommand(terminal)
    .exitOverride()
    .parseAsync(args, { from: 'user' })
    .then(
      () => 0,
      (err: unknown) => {
        if (err instanceof ExitError) return err.exitCode;
        if (err instanceof CommanderError) return err.code;
        throw err;
      },
    );
  stdout.end();
  stderr.end();
  const bytes = await buffer(stdout);
  return { code, bytes, stdout: bytes.toString(), stderr: (await buffer(stderr)).toString() };
}

function file(name: string, text: string | Buffer): string {
  writeFileSync(directory.file(name), text);
  return directory.file(name);
}

describe('istio-discovery corefile', () => {
  it('patches and gives back the bytes', async () => {
    const patched = await corefile(['patch', ...TAP, KUBEADM]);
    expect(patched).toMatchObject({ code: 0 });
    expect(patched.stdout).toContain('    dnstap unix:///run/istio-discovery/dnstap.sock full\n');
    expect(patched.stderr).toContain('listen-first');
    const unpatched = await corefile(['unpatch', ...TAP, '-'], patched.stdout);
    expect(unpatched.stdout).toBe(readFileSync(KUBEADM, 'utf8'));
  });

  it('says in check what is missing, with exit code 1, and nothing after the patch', async () => {
    const { code, stdout } = await corefile(['check', ...TAP, '-o', 'json', KUBEADM]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ findings: [{ code: 'tap-absent', line: 1 }] });
    const { stdout: patched } = await corefile(['patch', ...TAP, KUBEADM]);
    const checked = await corefile(['check', ...TAP, file('checked', patched)]);
    expect(checked).toMatchObject({
      code: 0,
      stdout: 'line 1: .:53: /run/istio-discovery/dnstap.sock full (ours)\n',
    });
  });

  it('refuses with exit code 1, the reason and no text', async () => {
    const broken = file('broken', '.:53 {\n  errors }\n');
    for (const subcommand of ['patch', 'check']) {
      const { code, stdout, stderr } = await corefile([subcommand, ...TAP, broken]);
      expect([subcommand, code, stdout]).toEqual([subcommand, 1, '']);
      expect(stderr).toContain('corefile-unreadable: line 2');
    }
    const old = await corefile(['patch', '--endpoint', 'tcp://192.0.2.7:6000', '--coredns', '1.8.0', KUBEADM]);
    expect(old).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('version-too-old') });
  });

  it('removes a tap without its comments only when forced', async () => {
    const bare = '.:53 {\n    errors\n    dnstap /tap.sock full\n}\n';
    expect((await corefile(['unpatch', file('bare', bare)])).stdout).toBe(bare);
    const forced = await corefile(['unpatch', '--force', '--endpoint', 'unix:///tap.sock', file('bare', bare)]);
    expect(forced.stdout).toBe('.:53 {\n    errors\n}\n');
    expect(await corefile(['unpatch', '--force', file('bare', bare)])).toMatchObject({ code: 'commander.error' });
  });

  it('leaves bytes that are not UTF-8 alone', async () => {
    const text = Buffer.concat([Buffer.from('.:53 {\n  errors # '), Buffer.of(0xff, 0xfe), Buffer.from('\n}\n')]);
    const { bytes } = await corefile(['patch', ...TAP, file('bytes', text)]);
    expect((await corefile(['unpatch', file('bytes', bytes)])).bytes).toEqual(text);
  });

  it('says what is wrong with the command line', async () => {
    const { code } = await corefile(['patch', KUBEADM]);
    expect(code).toBe('commander.missingMandatoryOptionValue');
    const missing = directory.file('missing');
    const unreadable = await corefile(['check', ...TAP, missing]);
    expect(unreadable).toMatchObject({ code: 2, stderr: expect.stringContaining(missing) });
  });

  it('is there, with help', async () => {
    for (const subcommand of ['check', 'patch', 'unpatch']) {
      const { stdout } = await runProgram('corefile', subcommand, '--help');
      expect(stdout).toContain(`istio-discovery corefile ${subcommand}`);
    }
  });
});
