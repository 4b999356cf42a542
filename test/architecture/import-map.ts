import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';

/** A row of the table in src/README.md: a folder or file, and what it may import. */
export type ImportMap = ReadonlyMap<string, ReadonlySet<string>>;

export interface SourceFile {
  /** Relative to src/, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** Reads `| \`folder/\` | owns | \`a\`, \`b\` |` rows; `nothing` is an empty set. */
export function parseImportMap(readme: string): ImportMap {
  const rows = [...readme.matchAll(/^\| `([\w.-]+)\/?`[^|]*\|[^|]*\|([^|]*)\|$/gm)];
  return new Map(
    rows.map(([, folder = '', allowed = '']) => [
      folder,
      new Set(Array.from(allowed.matchAll(/`([\w.-]+)`/g), ([, name = '']) => name)),
    ]),
  );
}

export function readSources(root: string, directory = root): SourceFile[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      return ['node_modules', 'dist', 'generated', 'test', 'bench'].includes(entry.name) ? [] : readSources(root, path);
    }
    if (!entry.name.endsWith('.ts') || entry.name.endsWith('.d.ts')) return [];
    return [{ path: relative(root, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') }];
  });
}

/** `dns/hostname.ts` is of `dns`, `main.ts` of `main.ts`. */
export function unitOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? path) : path;
}

const IMPORT =
  /(?:^|[^\w.])(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|(?:^|[^\w.])import\s*\(?\s*['"]([^'"]+)['"]/gm;

/** What a file imports from src/, as paths relative to it; `dnstap-ts` by its package name. Types count as well. */
export function importsOf({ path, text }: SourceFile): readonly string[] {
  return Array.from(text.matchAll(IMPORT), ([, from, dynamic]) => from ?? dynamic ?? '').flatMap((specifier) => {
    if (specifier === 'dnstap-ts' || specifier.startsWith('dnstap-ts/')) return ['dnstap-ts/index.ts'];
    if (!specifier.startsWith('.')) return [];
    return [posix.normalize(posix.join(dirname(path), specifier)).replace(/\.js$/, '.ts')];
  });
}

/** Imports that the map does not allow, as sentences. */
export function forbiddenImports(map: ImportMap, files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => {
    const unit = unitOf(file.path);
    const allowed = map.get(unit);
    if (allowed === undefined) return [`${file.path}: ${unit} has no row`];
    return importsOf(file).flatMap((target) => {
      const of = unitOf(target);
      const isOutside = target.startsWith('..') && !(unit === 'dnstap-ts' && target.startsWith('dnstap-ts/'));
      if (isOutside) return [`${file.path} imports ${target} from outside src`];
      return of === unit || allowed.has(of) ? [] : [`${file.path} imports ${target}: ${unit} may not import ${of}`];
    });
  });
}

/** The first cycle of files that import each other, as a path that comes back to its start. */
export function findCycle(files: readonly SourceFile[]): readonly string[] | undefined {
  const graph = new Map(files.map((file) => [file.path, importsOf(file)]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): readonly string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const next of graph.get(path) ?? []) {
      const cycle = visit(next, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of files) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
