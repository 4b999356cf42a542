import type { ReconcilePreview } from '../reconciler/reconcile-once.js';
import { describeChanges, type EntryChange } from '../reconciler/entry-change.js';
import { diffLines } from './line-diff.js';

const SIGNS = { create: '+', update: '~', delete: '-' } as const;

/**
 * A plan as people read it: what would change, what would not and why, and the sum.
 *
 * @param namespaces the only ones that were read; none: all were
 */
export function formatPlan(
  { plan, refused, withheld }: Omit<ReconcilePreview, 'review'>,
  namespaces: readonly string[] = [],
): string {
  const changes = describeChanges(plan);
  const lines = changes.flatMap(formatChange);
  lines.push(...plan.skipped.map(formatSkip));
  for (const { entry, notImportedIn = [] } of plan.create) {
    const { namespace, name } = entry.metadata;
    if (notImportedIn.length > 0)
      lines.push(`! ${namespace}/${name}  no Sidecar imports it in ${notImportedIn.join(', ')}`);
  }
  for (const { hostname, ports } of withheld) {
    const texts = ports.map(({ number, protocol, reason }) => `${number}/${protocol} (${reason})`);
    lines.push(`! ${hostname}  ports not declared: ${texts.join(', ')}`);
  }
  for (const { namespace, hostname, code } of refused) lines.push(`! ${namespace}  ${hostname}  cannot be: ${code}`);
  lines.push(...scopeLines(namespaces), ...adviceLines(plan.skipped));
  if (plan.delete.length > 0) lines.push('', 'A deletion closes the open connections of its host.');
  if (plan.budget.length > 0) lines.push('', ...plan.budget.map(formatBudget));
  const { create, update, delete: remove, keep, skipped } = plan;
  const counts = `${create.length} to create, ${update.length} to update, ${remove.length} to delete, `;
  const rest = `${keep.length} as they should be, ${skipped.length + refused.length} not written.`;
  return `${[...lines, ...(lines.length > 0 ? [''] : []), `Plan: ${counts}${rest}`].join('\n')}\n`;
}

function formatSkip({ namespace, name, host, reason, because, missingPorts }: PlannedSkip): string {
  const facts = because.length === 0 ? '' : ` (${because.join(', ')})`;
  const missing = missingPorts.length === 0 ? '' : `; it lacks ${missingPorts.join(', ')}`;
  return `! ${namespace}/${name}  ${host}  not written: ${reason}${facts}${missing}`;
}

function scopeLines(namespaces: readonly string[]): readonly string[] {
  if (namespaces.length === 0) return [];
  const read = `Only ${namespaces.join(', ')} ${namespaces.length === 1 ? 'was' : 'were'} read`;
  return ['', `${read}: what other namespaces, also the root namespace, export to them is not known.`];
}

/** The ways out of what keeps many hosts out at once. */
function adviceLines(skipped: readonly PlannedSkip[]): readonly string[] {
  const isByRule = ({ reason, because }: PlannedSkip): boolean =>
    reason === 'governed-by-others' && because.some((label) => label.startsWith('DestinationRule '));
  if (!skipped.some(isByRule)) return [];
  return [
    '',
    'A DestinationRule would change the traffic of a host as soon as it is declared. One for the whole mesh can have the host',
    '*.local instead of *; or one with trafficPolicy.tls.mode: DISABLE in the namespace of the clients stands before it.',
  ];
}

type PlannedSkip = ReconcilePreview['plan']['skipped'][number];

const BYTES_PER_KILOBYTE = 1000;

type Budget = ReconcilePreview['plan']['budget'][number];

function formatBudget({ namespace, pushes, addedClusters, removedClusters, addedBytes }: Budget): string {
  const proxies = namespace === '*' ? 'every proxy of the mesh' : `each proxy in ${namespace}`;
  const memory = `about ${addedBytes / BYTES_PER_KILOBYTE} kB`;
  return `Cost for ${proxies}: ${pushes} pushes at the most, ${addedClusters} clusters more (${memory}), ${removedClusters} less.`;
}

function formatChange({ kind, namespace, name, host, reason, fields }: EntryChange): readonly string[] {
  const head = `${SIGNS[kind]} ${namespace}/${name}  ${host}  ${kind}: ${reason}`;
  return [head, ...fields.map(({ path, from, to }) => `    ${path}: ${textOf(from)} -> ${textOf(to)}`)];
}

/** What differs, as lines of YAML: `-` as it is, `+` as it would be. */
export function formatDiff({ plan }: Pick<ReconcilePreview, 'plan'>): string {
  return describeChanges(plan)
    .map(({ namespace, name, before, after }) => {
      const [from, to] = [linesOf(before), linesOf(after)];
      const head = [`--- ${namespace}/${name}`, `+++ ${namespace}/${name}`];
      return `${[...head, ...diffLines(from, to)].join('\n')}\n`;
    })
    .join('');
}

function linesOf(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.trimEnd().split('\n');
}

function textOf(value: unknown): string {
  return value === undefined ? 'unset' : JSON.stringify(value);
}

/** A plan for programs; `namespaces` are the only ones that were read, none if all were. */
export function planToJson(
  { plan, refused, withheld }: Omit<ReconcilePreview, 'review'>,
  namespaces: readonly string[] = [],
): string {
  const changes = describeChanges(plan).map(({ before: _before, after: _after, ...change }) => change);
  const keep = plan.keep.map(({ reason, current: { metadata, spec } }) => ({
    namespace: metadata.namespace,
    name: metadata.name,
    host: spec.hosts[0],
    reason,
  }));
  const { skipped, budget, pendingDeletions } = plan;
  const rest = { skipped, refused, withheld, budget, pendingDeletions, namespaces };
  return `${JSON.stringify({ changes, keep, ...rest }, undefined, 2)}\n`;
}
