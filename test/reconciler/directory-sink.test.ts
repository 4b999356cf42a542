import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import { formatServiceEntry } from '../../src/istio/format-yaml.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import { planServiceEntries } from '../../src/plan/plan-service-entries.js';
import { DirectorySink } from '../../src/reconciler/directory-sink.js';
import type { SinkResult } from '../../src/reconciler/sink.js';
import { hostname } from '../istio/hostname.js';
import { runCommand } from '../support/command.js';
import { partPath } from '../support/parts.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

const policy = { owner: 'main', maxChanges: 1000, maxDeletions: 1000, maxDeletionShare: 1 };

let directory: string;
let sink: DirectorySink;

beforeEach(() => {
  directory = createTemporaryDirectory().file('entries');
  sink = new DirectorySink(directory);
});

function wanted(host: string, exportTo: readonly string[] = ['.']): ServiceEntry {
  return buildServiceEntry({ hostname: hostname(host), namespace: 'shop', owner: 'main', exportTo });
}

async function reconcile(desired: readonly ServiceEntry[], unwanted: readonly string[] = []): Promise<SinkResult> {
  const { entries } = await sink.read();
  return sink.apply(planServiceEntries({ current: entries, desired, unwanted, policy }));
}

const A_FILE = 'shop.learned-a.example.com.yaml';
/** Without the line that says as what it was written. */
const read = (name: string): string =>
  readFileSync(join(directory, name), 'utf8').replace(/^# istio-discovery [0-9a-f]{16}: .*\n/, '');

describe('DirectorySink', () => {
  it('writes one file an object, and nothing else', async () => {
    await reconcile([wanted('a.example.com'), wanted('b.example.com')]);
    expect(readdirSync(directory).sort()).toEqual([A_FILE, 'shop.learned-b.example.com.yaml']);
    expect(read(A_FILE)).toBe(formatServiceEntry(wanted('a.example.com')));
  });

  it('has nothing to do the second time', async () => {
    await reconcile([wanted('a.example.com')]);
    const nothing = { created: [], updated: [], deleted: [], failures: [] };
    await expect(reconcile([wanted('a.example.com')])).resolves.toEqual(nothing);
  });

  it('changes and removes files of its own', async () => {
    await reconcile([wanted('a.example.com'), wanted('b.example.com')]);
    await reconcile([wanted('a.example.com', ['*'])], ['b.example.com']);
    expect(readdirSync(directory)).toEqual([A_FILE]);
    expect(read(A_FILE)).toBe(formatServiceEntry(wanted('a.example.com', ['*'])));
  });

  it('leaves a file alone in which somebody edited the spec, however wanted or unwanted', async () => {
    await reconcile([wanted('a.example.com'), wanted('b.example.com')]);
    const path = join(directory, A_FILE);
    const edited = readFileSync(path, 'utf8').replace('- .', '- "*"').replace('- "."', '- "*"');
    expect(edited).toContain('- "*"');
    writeFileSync(path, edited);
    const { entries } = await sink.read();
    const { skipped } = planServiceEntries({ current: entries, desired: [wanted('a.example.com')], policy });
    expect(skipped).toMatchObject([{ reason: 'edited-by-others', because: ['edited-file'] }]);
    await reconcile([wanted('a.example.com')], ['b.example.com']);
    await reconcile([], ['a.example.com']);
    expect(readdirSync(directory)).toEqual([A_FILE]);
    expect(readFileSync(path, 'utf8')).toBe(edited);
  });

  it('takes a file that was laid out anew, or has no line about it, for its own', async () => {
    await reconcile([wanted('a.example.com'), wanted('b.example.com')]);
    const path = join(directory, A_FILE);
    const [line = ''] = readFileSync(path, 'utf8').split('\n');
    const value: unknown = parseAllDocuments(read(A_FILE))[0]?.toJS();
    writeFileSync(path, `${line}\n---\n${JSON.stringify(value)}\n`);
    writeFileSync(join(directory, 'shop.learned-b.example.com.yaml'), formatServiceEntry(wanted('b.example.com')));
    await reconcile([], ['a.example.com', 'b.example.com']);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('writes nothing beside an entry of others for the host', async () => {
    mkdirSync(directory);
    const text = formatServiceEntry({ ...wanted('a.example.com'), metadata: { name: 'by-hand', namespace: 'shop' } });
    writeFileSync(join(directory, 'by-hand.yml'), `# mine\n${text}`);
    await reconcile([wanted('a.example.com')], ['a.example.com']);
    expect(readdirSync(directory)).toEqual(['by-hand.yml']);
  });

  it.each([
    ['is no YAML', '{{'],
    ['is something else', 'kind: Kustomization\n'],
    ['is empty', ''],
  ])('replaces no file that %s', async (_what, content) => {
    mkdirSync(directory);
    writeFileSync(join(directory, A_FILE), content);
    const { created, failures } = await reconcile([wanted('a.example.com'), wanted('b.example.com')]);
    expect(created.map(({ spec }) => spec.hosts)).toEqual([['b.example.com']]);
    expect(failures).toMatchObject([{ host: 'a.example.com', code: 'RECONCILER_ERR_FOREIGN_FILE' }]);
    expect(read(A_FILE)).toBe(content);
    expect(readdirSync(directory)).toHaveLength(2);
  });

  it.each([
    ['changes', [wanted('a.example.com', ['*'])], []],
    ['removes', [], ['a.example.com']],
  ])('%s no file that somebody changed after the read', async (_what, desired, unwanted) => {
    await reconcile([wanted('a.example.com')]);
    const { entries } = await sink.read();
    const plan = planServiceEntries({ current: entries, desired, unwanted, policy });
    const edited = `${read(A_FILE)}---\nkind: Kustomization\n---\n${formatServiceEntry(wanted('c.example.com'))}`;
    writeFileSync(join(directory, A_FILE), edited);
    const { failures } = await sink.apply(plan);
    expect(failures).toMatchObject([{ code: 'RECONCILER_ERR_FOREIGN_FILE' }]);
    expect(read(A_FILE)).toBe(edited);
  });

  it('fails a read of which it cannot have a part', async () => {
    mkdirSync(join(directory, 'a.yaml'), { recursive: true });
    await expect(sink.read()).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('DirectorySink with a kustomization', () => {
  const KUSTOMIZATION = 'kustomization.yaml';

  beforeEach(() => {
    sink = new DirectorySink(directory, { isKustomization: true });
  });

  /** The hosts of what kustomize makes of the directory. */
  async function built(): Promise<readonly string[]> {
    const { stdout } = await runCommand(await partPath('kubectl'), ['kustomize', directory]);
    return parseAllDocuments(stdout).flatMap((document) => (document.toJS() as ServiceEntry).spec.hosts);
  }

  it('is what kustomize builds the entries from, and follows them', async () => {
    await reconcile([wanted('a.example.com'), wanted('b.example.com')]);
    expect(await built()).toEqual(['a.example.com', 'b.example.com']);
    await reconcile([wanted('a.example.com')], ['b.example.com']);
    expect(await built()).toEqual(['a.example.com']);
  });

  it('lists no file of others, and is not written again when nothing has changed', async () => {
    await reconcile([wanted('a.example.com')]);
    writeFileSync(join(directory, 'mine.yaml'), 'kind: ConfigMap\n');
    const before = statSync(join(directory, KUSTOMIZATION));
    await reconcile([wanted('a.example.com')]);
    expect(read(KUSTOMIZATION)).toContain(`resources:\n  - ${A_FILE}\n`);
    expect(read(KUSTOMIZATION)).not.toContain('mine.yaml');
    expect(statSync(join(directory, KUSTOMIZATION)).ino).toBe(before.ino);
  });

  it.each([KUSTOMIZATION, 'kustomization.yml', 'Kustomization'])(
    'touches nothing beside a %s of others',
    async (name) => {
      mkdirSync(directory);
      writeFileSync(join(directory, name), 'resources: []\n');
      await expect(reconcile([wanted('a.example.com')])).rejects.toMatchObject({ code: 'RECONCILER_ERR_FOREIGN_FILE' });
      expect(readdirSync(directory)).toEqual([name]);
      expect(read(name)).toBe('resources: []\n');
    },
  );
});
