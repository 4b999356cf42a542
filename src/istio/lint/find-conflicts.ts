import { viewSpec, type Placed, type SpecView } from '../validation/spec-view.js';
import { nameOf, type ConflictCode, type LintedEntry, type LintFinding } from './lint-finding.js';

interface Declared {
  readonly entry: LintedEntry;
  readonly spec: SpecView;
  readonly host: Placed<string>;
}

export function findConflicts(entries: readonly LintedEntry[]): readonly LintFinding[] {
  const findings: LintFinding[] = [];
  const byHost = new Map<string, Declared[]>();
  for (const entry of entries) {
    const spec = viewSpec(entry.value);
    for (const host of spec.hosts) {
      const declared: Declared = { entry, spec, host };
      const key = host.value.toLowerCase().replace(/\.$/, '');
      const before = byHost.get(key) ?? [];
      findings.push(...before.flatMap((other) => compare(declared, other)));
      byHost.set(key, [...before, declared]);
    }
  }
  return findings;
}

function compare(one: Declared, other: Declared): readonly LintFinding[] {
  if (one.entry === other.entry) return [];
  const isSameNamespace = one.spec.namespace === other.spec.namespace;
  if (isSameNamespace && !merge(one.spec, other.spec)) {
    return [conflict('host-twice', one, `${nameOf(other.entry)} has ${one.host.value} too, with other ports`)];
  }
  if (!isSameNamespace && !overlap(one.spec, other.spec)) return [];
  const port = one.spec.ports.find(({ number, protocol }) =>
    other.spec.ports.some(
      (theirs) => theirs.number === number && theirs.protocol.toUpperCase() !== protocol.toUpperCase(),
    ),
  );
  if (port === undefined) return [];
  return [conflict('protocol-differs', one, `${nameOf(other.entry)} gives port ${port.number} another protocol`)];
}

/** Ports are merged between entries that are otherwise alike, and equal ports need no merging. */
function merge(one: SpecView, other: SpecView): boolean {
  const portsOf = ({ ports }: SpecView): string =>
    JSON.stringify(ports.map(({ number, protocol, name, targetPort }) => [number, protocol, name, targetPort]));
  const restOf = ({ resolution, labels, selector = [], exportTo }: SpecView): string =>
    JSON.stringify([
      resolution,
      [...labels].map(pairText).sort(),
      selector.map(({ value }) => pairText(value)).sort(),
      exportTo.map(({ value }) => value),
    ]);
  return portsOf(one) === portsOf(other) || restOf(one) === restOf(other);
}

function pairText([key, value]: readonly [key: string, value: string]): string {
  return `${key}=${value}`; // neither can have the sign
}

/** Whether somebody sees both. */
function overlap(one: SpecView, other: SpecView): boolean {
  const [a, b] = [audienceOf(one), audienceOf(other)];
  if (a.size === 0 || b.size === 0) return false;
  return a.has('*') || b.has('*') || [...a].some((namespace) => b.has(namespace));
}

function audienceOf({ exportTo, namespace }: SpecView): ReadonlySet<string> {
  const names = exportTo.map(({ value }) => (value === '.' ? namespace : value));
  return new Set(names.length === 0 ? ['*'] : names.filter((name) => name !== '~'));
}

function conflict(code: ConflictCode, { entry, host }: Declared, message: string): LintFinding {
  return {
    file: entry.file,
    ...entry.locate(host.path),
    severity: 'warning',
    code,
    source: 'istio-discovery',
    object: nameOf(entry),
    path: 'spec.hosts',
    message,
  };
}
