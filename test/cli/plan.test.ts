import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../support/command.js';
import { runProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { outcome } from './outcome.js';

const directory = createTemporaryDirectory();
const store = ['--store', `embedded://${directory.file('store')}`];
const target = [...store, '--output', directory.file('entries')];

beforeAll(async () => {
  const capture = join(ROOT, 'test', 'data', 'coredns.fstrm.gz');
  await runProgram('run', '--once', '--read', capture, '--host-policy', 'observe', ...target);
  // With the hosts in the store as they were left, whatever the policy is from now on.
}, 60_000);

interface JsonPlan {
  readonly changes: readonly { readonly kind: string; readonly host: string; readonly reason: string }[];
  readonly keep: readonly object[];
}

async function planned(...args: readonly string[]): Promise<JsonPlan> {
  return JSON.parse((await runProgram('plan', '--format', 'json', ...args)).stdout) as JsonPlan; // its own output
}

describe('plan, diff and apply', () => {
  it('show what would be written, write it, and then have nothing to do', async () => {
    const { stdout } = await runProgram('plan', ...target);
    expect(stdout).toMatch(/^\+ default\/learned-\S+ {2}\S+ {2}create: wanted$/m);
    expect(stdout).toMatch(/^Plan: [1-9]\d* to create, 0 to update, 0 to delete/m);
    const narrow = await runProgram('plan', ...target, '--kubernetes-namespaces', 'shop');
    expect(narrow.stdout).toContain('Only shop was read');
    expect(stdout).not.toContain('read');
    const { changes } = await planned(...target);
    expect(changes[0]).toMatchObject({ kind: 'create', reason: 'wanted' });
    expect(readdirSync(directory.file('entries'))).toEqual([]);

    const different = await outcome('diff', ...target);
    expect([different.code, different.text]).toEqual([1, expect.stringContaining('+kind: ServiceEntry\n')]);

    expect((await outcome('apply', ...target)).code).toBe(0);
    expect(readdirSync(directory.file('entries'))).toHaveLength(changes.length);
    expect(await outcome('diff', ...target)).toEqual({ code: 0, text: '' });
    expect(await planned(...target)).toMatchObject({ changes: [], keep: { length: changes.length } });
  });

  it('show which fields of an entry would change', async () => {
    const { stdout } = await runProgram('plan', ...target, '--istio-export-to', '*');
    expect(stdout).toContain('update: spec-differs\n    spec.exportTo: ["."] -> ["*"]\n');
    const { code, text } = await outcome('diff', ...target, '--istio-export-to', '*');
    expect(code).toBe(1);
    expect(text).toMatch(/^- {4}- "\."\n\+ {4}- "\*"$/m);
  });

  it('print YAML and nothing else where that is the target', async () => {
    const { stdout } = await runProgram('apply', ...store, '--target', 'stdout');
    const kinds = parseAllDocuments(stdout).map((document) => (document.toJS() as { kind: string }).kind);
    expect(kinds.length).toBeGreaterThan(0);
    expect(new Set(kinds)).toEqual(new Set(['ServiceEntry']));
  });

  it.each([
    ['diff', 2],
    ['plan', 1],
    ['apply', 1],
  ])('%s ends with exit code %i when the target cannot be read', async (command, expected) => {
    const { code, text } = await outcome(command, ...store, '--kubeconfig', directory.file('missing'));
    expect([code, text]).toEqual([expected, expect.stringContaining('KUBERNETES_ERR_CONFIG')]);
  });

  it('refuse to print again and again', async () => {
    const { code, text } = await outcome('reconcile', ...store, '--target', 'stdout');
    expect([code, text]).toEqual([2, expect.stringContaining('output.target')]);
  });
});
