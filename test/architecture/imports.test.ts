import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCycle, forbiddenImports, importsOf, parseImportMap, readSources, unitOf } from './import-map.js';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const map = parseImportMap(readFileSync(join(SRC, 'README.md'), 'utf8'));
const files = readSources(SRC);

describe('the folders of src', () => {
  it('are all in the table of src/README.md, which names no other', () => {
    expect([...map.keys()].sort()).toEqual([...new Set(files.map(({ path }) => unitOf(path)))].sort());
  });

  it('import only what their row allows', () => {
    expect(forbiddenImports(map, files)).toEqual([]);
  });

  it('have no cycle', () => {
    expect(findCycle(files)).toBeUndefined();
  });

  it('leave the Kubernetes client to kubernetes/, Redis and LevelDB to host/, and the environment to config/', () => {
    const users = (pattern: RegExp): string[] => [
      ...new Set(files.filter(({ text }) => pattern.test(text)).map(({ path }) => unitOf(path))),
    ];
    expect(users(/from '@kubernetes\/client-node'/)).toEqual(['kubernetes']);
    expect(users(/from '(?:ioredis|classic-level)'/)).toEqual(['host']);
    expect(users(/process\.env/)).toEqual(['config']);
  });
});

describe('the checker itself', () => {
  const bad = parseImportMap('| `a/` | x | nothing |\n| `b/` | x | `a` |\n');

  it('finds a forbidden import, also of a type, by import() and by re-export', () => {
    const samples = [
      "import type { B } from '../b/b.js';",
      "const b = await import('../b/b.js');",
      "export { B } from '../b/b.js';",
    ];
    for (const text of samples) {
      expect(forbiddenImports(bad, [{ path: 'a/a.ts', text }])).toEqual(['a/a.ts imports b/b.ts: a may not import b']);
    }
    expect(forbiddenImports(bad, [{ path: 'a/a.ts', text: "import { D } from 'dnstap-ts';" }])).toHaveLength(1);
    expect(forbiddenImports(bad, [{ path: 'c/c.ts', text: '' }])).toEqual(['c/c.ts: c has no row']);
  });

  it('finds a cycle', () => {
    const cycle = findCycle([
      { path: 'a/a.ts', text: "import { b } from '../b/b.js';" },
      { path: 'b/b.ts', text: "import { a } from '../a/a.js';" },
    ]);
    expect(cycle).toEqual(['a/a.ts', 'b/b.ts', 'a/a.ts']);
  });

  it('reads imports over several lines and not the ones in comments of other words', () => {
    const text = "import {\n  one,\n  two,\n} from '../b/b.js';\n// imported from the cluster";
    expect(importsOf({ path: 'a/a.ts', text })).toEqual(['b/b.ts']);
  });
});
