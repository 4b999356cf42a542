import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runCommand } from '../support/command.js';
import { startPart } from '../support/process.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { blocksOf, commandsOf, needsCluster, readPage } from './documented-commands.js';

const PAGE = 'README.md';
const README = readPage(PAGE);

/** Commands that do not end, or that run this test. Each is shown to work elsewhere, as said here. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['make run', 'below'],
  ['make test', 'it is what runs this test'],
]);

const commands = commandsOf(PAGE).filter((command) => !needsCluster(command)); // see deploy-commands.test.ts

describe('the README', () => {
  const directory = createTemporaryDirectory();

  it('has commands, and names only make targets that exist', () => {
    expect(commands.length).toBeGreaterThan(5);
    const targets = new Set(
      Array.from(readFileSync(join(ROOT, 'Makefile'), 'utf8').matchAll(/^([a-z]+):/gm), ([, name]) => name),
    );
    const named = Array.from(README.matchAll(/(?:^|`)make ([a-z]+)/gm), ([, name]) => name);
    expect(named.filter((name) => !targets.has(name))).toEqual([]);
  });

  it.each(commands.filter((command) => !ELSEWHERE.has(command)))('%s', async (command) => {
    const { stdout } = await runCommand('sh', ['-c', command.replaceAll('/tmp/', `${directory.path}/`)], {
      timeoutMs: 120_000,
    });
    expect(stdout).not.toBe('');
  });

  it('shows what make demo prints, and a file that it writes', async () => {
    const { stdout } = await runCommand('make', ['--silent', 'demo']);
    expect(blocksOf(PAGE, 'text')).toEqual([stdout]);
    const output = join(ROOT, 'out', 'demo', 'service-entries');
    const files = readdirSync(output).map((file) => readFileSync(join(output, file), 'utf8'));
    expect(blocksOf(PAGE, 'yaml').filter((entry) => !files.includes(entry))).toEqual([]);
  });

  it('make run listens, says what CoreDNS needs, and ends on SIGTERM', async () => {
    const part = await startPart({
      name: 'make run',
      command: 'make',
      args: ['--silent', '-C', ROOT, 'run'],
      ready: () => true,
    });
    await waitUntil(() => part.log().includes('listening for dnstap'), { what: 'the socket' });
    expect(part.log()).toContain(`dnstap unix://${join(ROOT, 'out', 'dnstap.sock')} full`);
    await part.stop();
  });
});
