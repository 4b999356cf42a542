import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { commandEnvironment, ROOT, runCommand } from './command.js';
import { createTemporaryDirectory } from './temporary-directory.js';
import { waitUntil } from './wait-until.js';

/** The part that is built fastest; what it is built of is in Go's own cache already. */
const PART = 'golang-dnstap-bench';

interface Run {
  readonly path: string;
  readonly progress: string;
}

async function emptyCache(): Promise<{ variables: Record<string, string>; parts: string }> {
  const { path } = createTemporaryDirectory();
  // Go keeps its own cache below XDG_CACHE_HOME as well, and that one is not to be empty.
  const { stdout } = await runCommand('go', ['env', 'GOCACHE']);
  return {
    variables: { XDG_CACHE_HOME: path, GOCACHE: stdout.trim() },
    parts: join(path, 'istio-discovery', 'parts'),
  };
}

async function runParts(environment: Record<string, string>): Promise<Run> {
  const { stdout, stderr } = await runCommand(`${ROOT}/scripts/parts`, [PART], { environment });
  return { path: stdout.trim(), progress: stderr };
}

describe('scripts/parts', () => {
  it('builds a part once when it runs twice at once', async () => {
    const { variables, parts } = await emptyCache();
    const [first, second] = await Promise.all([runParts(variables), runParts(variables)]);
    expect(first.path).toBe(second.path);
    expect(`${first.progress}${second.progress}`.match(/built in/g)).toHaveLength(1);
    expect(readdirSync(parts).filter((name) => !name.startsWith('.lock'))).toHaveLength(1);
  });

  it('carries on after the run that held the lock was killed', async () => {
    const { variables, parts } = await emptyCache();
    const killed = spawn(`${ROOT}/scripts/parts`, [PART], { env: commandEnvironment(variables), stdio: 'ignore' });
    await waitUntil(() => readdirSync(parts).some((name) => name.startsWith('.building')), { everyMs: 2 });
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    const { path, progress } = await runParts(variables);
    expect(progress).toContain('built in');
    expect((await runParts(variables)).progress).toBe('');
    await expect(runCommand(path, [])).rejects.toMatchObject({ code: 'TEST_ERR_COMMAND_FAILED' });
    expect(readdirSync(parts).filter((name) => name.startsWith('.building'))).toEqual([]);
  });

  it('removes, after a build, what nobody has used for a month and nothing refers to', async () => {
    const { variables, parts } = await emptyCache();
    const left = [
      'etcd-0123456789abcdef',
      'no-part-0123456789abcdef',
      '.building-etcd.XXXXXX',
      'etcd-fedcba9876543210',
    ];
    const monthsAgo = new Date(Date.now() - 60 * 86_400_000);
    for (const [index, name] of left.entries()) {
      mkdirSync(join(parts, name), { recursive: true });
      writeFileSync(join(parts, name, 'file'), '');
      if (index < 3) utimesSync(join(parts, name), monthsAgo, monthsAgo);
    }
    const { path } = await runParts(variables);
    const kept = [basename(dirname(path)), 'etcd-fedcba9876543210'].sort();
    expect(readdirSync(parts).filter((name) => !name.startsWith('.lock'))).toEqual(kept);
    // What is asked for again is used, however old it is.
    utimesSync(dirname(path), monthsAgo, monthsAgo);
    await runParts(variables);
    expect(statSync(dirname(path)).mtimeMs).toBeGreaterThan(monthsAgo.getTime());
  });

  it('names the command that installs Go when there is none', async () => {
    const { variables } = await emptyCache();
    const failed = runParts({ ...variables, PATH: pathWithoutGo() });
    await expect(failed).rejects.toMatchObject({ message: expect.stringContaining('scripts/setup --test') });
  });

  it('rejects a part that it does not know', async () => {
    await expect(runCommand(`${ROOT}/scripts/parts`, ['no-such-part'])).rejects.toMatchObject({
      code: 'TEST_ERR_COMMAND_FAILED',
    });
  });
});

describe('scripts/setup', () => {
  it('has nothing to do on a machine that is set up', async () => {
    const { stdout, stderr } = await runCommand(`${ROOT}/scripts/setup`, ['--test']);
    expect(`${stdout}${stderr}`).toBe('');
  });

  it('says how it is used when it is told nothing', async () => {
    await expect(runCommand(`${ROOT}/scripts/setup`, [])).rejects.toMatchObject({ cause: { code: 2 } });
  });
});

it('every shell script passes shellcheck', async () => {
  const scripts = ['setup', 'parts', 'env', 'go-version'].map((name) => `${ROOT}/scripts/${name}`);
  expect((await runCommand('shellcheck', scripts)).stdout).toBe('');
});

/** A PATH with all that this process can run, except Go. */
function pathWithoutGo(): string {
  const directory = createTemporaryDirectory().file('bin');
  mkdirSync(directory);
  const linked = new Set(['go', 'gofmt']);
  for (const from of (commandEnvironment()['PATH'] ?? '').split(delimiter)) {
    for (const name of namesIn(from).filter((name) => !linked.has(name))) {
      linked.add(name);
      symlinkSync(join(from, name), join(directory, name));
    }
  }
  return directory;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // not every directory of a PATH exists
  }
}
