import { SERVICE_ENTRY_GROUP } from '../service-entry.js';
import { formatPath } from '../validation/finding.js';
import { validateServiceEntry } from '../validation/validate-service-entry.js';
import { findConflicts } from './find-conflicts.js';
import { nameOf, type LintedEntry, type LintFinding } from './lint-finding.js';
import { parseObjects, type Position } from './parse-objects.js';

export interface LintSource {
  /** Name to print, such as the file's path. */
  readonly name: string;
  readonly text: string;
}

/** An object of another kind. */
export interface SkippedObject extends Position {
  readonly file: string;
  /** `apiVersion kind`, as far as there is one. */
  readonly type: string;
}

export interface LintReport {
  /** ServiceEntries that were checked. */
  readonly checked: number;
  readonly skipped: readonly SkippedObject[];
  /** By file in the order given, then by place. */
  readonly findings: readonly LintFinding[];
}

/** Checks every ServiceEntry of some YAML or JSON texts, each alone and all together. */
export function lint(sources: readonly LintSource[]): LintReport {
  const entries: LintedEntry[] = [];
  const skipped: SkippedObject[] = [];
  const findings: LintFinding[] = [];
  for (const { name: file, text } of sources) {
    const { objects, faults } = parseObjects(text);
    findings.push(...faults.map((fault): LintFinding => ({ file, ...SYNTAX, ...fault })));
    for (const object of objects) {
      if (isServiceEntry(object.value)) entries.push({ ...object, file });
      else skipped.push({ file, ...object.locate([]), type: typeOf(object.value) });
    }
  }
  findings.push(...entries.flatMap(lintEntry), ...findConflicts(entries));
  const files = sources.map(({ name }) => name);
  findings.sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column);
  return { checked: entries.length, skipped, findings };
}

const SYNTAX = { severity: 'error', code: 'syntax', source: 'api-server', object: '', path: '' } as const;

function isServiceEntry({ kind, apiVersion }: Readonly<Record<string, unknown>>): boolean {
  if (kind !== 'ServiceEntry') return false;
  return typeof apiVersion !== 'string' || apiVersion.startsWith(`${SERVICE_ENTRY_GROUP}/`);
}

function typeOf({ kind, apiVersion }: Readonly<Record<string, unknown>>): string {
  const parts = [apiVersion, kind].filter((part) => typeof part === 'string' && part !== '');
  return parts.length === 0 ? 'no kind' : parts.join(' ');
}

function lintEntry(entry: LintedEntry): readonly LintFinding[] {
  return validateServiceEntry(entry.value).map(({ path, ...finding }) => ({
    file: entry.file,
    ...entry.locate(path),
    object: nameOf(entry),
    path: formatPath(path),
    ...finding,
  }));
}
