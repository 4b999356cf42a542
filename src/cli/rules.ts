import { Command, InvalidArgumentError } from 'commander';
import { configuredRules } from '../app/reconcile-settings.js';
import { withStore } from '../app/store.js';
import type { Hostname } from '../dns/hostname.js';
import { formatRule, parseRule, type HostRule } from '../host/host-rule.js';
import type { HostStore } from '../host/host-store.js';
import { ExitError } from './exit-error.js';
import { addSettings, readSettings } from './options.js';
import { formatListing, outputOption, writePieces, type Listing, type OutputFormat } from './output.js';
import type { Terminal } from './terminal.js';
import { describeReach } from './wildcard-reach.js';

const GRAMMAR = `
A rule is one of these; PATTERN is api.example.com, *.example.com (every name below) or domain:example.com:

  allow PATTERN                        approved without a person
  ignore PATTERN                       never an entry
  wildcard *.PARENT                    one entry for all children, as soon as there is one
  port PATTERN NUMBER/PROTOCOL,...     these ports instead of the default ones
  namespace PATTERN NAMESPACE,...      entries in these namespaces

The first rule that matches counts; those of the store come before those of the settings.`;

const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;
/** Each failure means that somebody else's change took place. */
const MAX_FAILURES = 20;

interface RuleView {
  /** From 1; of the settings' rules none, since they cannot be removed by it. */
  readonly number: number | null;
  readonly rule: string;
  readonly from: 'store' | 'settings';
}

const LISTING: Listing<RuleView> = {
  header: ['NUMBER', 'RULE', 'FROM'],
  toRow: ({ number, rule, from }) => [number === null ? '-' : String(number), rule, from],
  nameOf: ({ rule }) => rule,
  toView: (view) => view,
  empty: 'No rules.\n',
};

export function rulesCommand(terminal: Terminal): Command {
  const command = new Command('rules').description('List and change the rules about hosts.');
  command.addCommand(listCommand(terminal), { isDefault: true });
  command.addCommand(addCommand(terminal));
  command.addCommand(removeCommand(terminal));
  return command.addHelpText('after', GRAMMAR);
}

function listCommand(terminal: Terminal): Command {
  const command = new Command('list').description('Print the rules, in their order.').addOption(outputOption());
  addSettings(command, ['store', 'host', 'log']);
  return command.action(async ({ format }: { readonly format: OutputFormat }) => {
    const settings = readSettings(command);
    const { rules } = await withStore(settings, (store) => store.rules());
    const views = [
      ...rules.map((rule, index): RuleView => ({ number: index + 1, rule: formatRule(rule), from: 'store' })),
      ...configuredRules(settings).map((rule): RuleView => ({
        number: null,
        rule: formatRule(rule),
        from: 'settings',
      })),
    ];
    await writePieces(formatListing(asyncOf(views), format, LISTING), terminal.stdout);
  });
}

function addCommand(terminal: Terminal): Command {
  const command = new Command('add')
    .description('Add a rule to the store.')
    .argument('<RULE...>', "for example: allow '*.example.com'")
    .option('--at <NUMBER>', 'before the rule of this number (default: last)', parseNumber)
    .option('--dry-run', 'say what a wildcard would open, and add nothing')
    .addHelpText('after', GRAMMAR);
  addSettings(command, ['store', 'log']);
  return command.action(async (words: readonly string[], { at, dryRun = false }: AddOptions) => {
    const rule = parseRule(words.join(' '));
    if ('problem' in rule) throw refusal(terminal, rule.problem, EXIT_USAGE);
    const line = formatRule(rule);
    await withStore(readSettings(command), async (store) => {
      // Before anything is stored: it can be undone, but not that it was open.
      if (rule.action === 'wildcard') terminal.stdout.write(await reachText(store, rule));
      const edit = (rules: readonly HostRule[]): readonly HostRule[] | undefined =>
        rules.some((known) => formatRule(known) === line) ? undefined : rules.toSpliced((at ?? Infinity) - 1, 0, rule);
      const isNew = dryRun ? edit((await store.rules()).rules) !== undefined : await change(store, edit);
      const said = dryRun ? 'would be added' : 'added';
      terminal.stdout.write(`${isNew ? said : 'there already'}: ${line}\n`);
    });
  });
}

interface AddOptions {
  readonly at?: number;
  readonly dryRun?: boolean;
}

async function reachText(store: HostStore, { pattern }: HostRule): Promise<string> {
  const wildcard = `*.${pattern.name}` as Hostname; // records of wildcards are named so
  const reach = await describeReach(store, wildcard);
  return `${wildcard}\n${reach.map((line) => `  ${line}\n`).join('')}`;
}

function removeCommand(terminal: Terminal): Command {
  const command = new Command('remove')
    .description('Remove a rule from the store.')
    .argument('<RULE...>', 'the rule itself, or its number in the list');
  addSettings(command, ['store', 'log']);
  return command.action(async (words: readonly string[]) => {
    const text = words.join(' ');
    let removed: HostRule | undefined;
    await withStore(readSettings(command), (store) =>
      change(store, (rules) => {
        removed = findRule(rules, text);
        return removed === undefined ? undefined : rules.filter((rule) => rule !== removed);
      }),
    );
    if (removed === undefined) {
      throw refusal(terminal, `no rule of the store is ${JSON.stringify(text)}`, EXIT_REFUSED);
    }
    terminal.stdout.write(`removed: ${formatRule(removed)}\n`);
  });
}

function refusal(terminal: Terminal, why: string, exitCode: number): ExitError {
  terminal.stderr.write(`istio-discovery: ${why}\n`);
  return new ExitError(exitCode);
}

function findRule(rules: readonly HostRule[], text: string): HostRule | undefined {
  if (/^\d+$/.test(text)) return rules[Number(text) - 1];
  const wanted = parseRule(text);
  return 'problem' in wanted ? undefined : rules.find((rule) => formatRule(rule) === formatRule(wanted));
}

/** Changes the rules so that nobody's change at the same time is lost; false when `edit` has nothing to change. */
async function change(
  store: HostStore,
  edit: (rules: readonly HostRule[]) => readonly HostRule[] | undefined,
): Promise<boolean> {
  for (let failures = 0; failures < MAX_FAILURES; failures++) {
    const { rules, version } = await store.rules();
    const edited = edit(rules);
    if (edited === undefined) return false;
    if (await store.setRules(edited, version)) return true;
  }
  throw new Error('others change the rules faster than they can be edited');
}

function parseNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('expected a number from 1');
  return Number(text);
}

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
