import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { LintFinding } from '../istio/lint/lint-finding.js';
import { lint, type LintReport, type LintSource } from '../istio/lint/lint.js';
import { ExitError } from './exit-error.js';
import type { Terminal } from './terminal.js';

const EXIT_FINDINGS = 1;
const EXIT_USAGE = 2;
const STANDARD_INPUT = '-';

const EXIT_STATUS = `
Exit status: 0 without errors, 1 with errors (with --fail-on warning also with warnings), 2 when a file cannot be read.`;

interface LintOptions {
  readonly format: 'text' | 'json';
  readonly failOn: 'error' | 'warning';
}

export function lintCommand(terminal: Terminal): Command {
  return new Command('lint')
    .description('Check ServiceEntries, of anybody, by the rules of Istio and by what it forgets.')
    .argument('<FILE...>', 'YAML or JSON, any number of documents; - for standard input')
    .addOption(new Option('-o, --format <FORMAT>', 'how').choices(['text', 'json']).default('text'))
    .addOption(new Option('--fail-on <SEVERITY>', 'what makes it fail').choices(['error', 'warning']).default('error'))
    .addHelpText('after', EXIT_STATUS)
    .action(async (files: readonly string[], { format, failOn }: LintOptions) => {
      const report = lint(await readSources(files, terminal));
      terminal.stdout.write(format === 'json' ? formatJson(report) : formatText(report));
      const isFailure = report.findings.some(({ severity }) => severity === 'error' || failOn === 'warning');
      if (isFailure) throw new ExitError(EXIT_FINDINGS);
    });
}

async function readSources(files: readonly string[], terminal: Terminal): Promise<readonly LintSource[]> {
  const sources: LintSource[] = [];
  for (const name of new Set(files)) {
    try {
      sources.push({
        name,
        text: name === STANDARD_INPUT ? await readAll(terminal.stdin) : await readFile(name, 'utf8'),
      });
    } catch (err) {
      terminal.stderr.write(
        `istio-discovery: ${name} cannot be read: ${err instanceof Error ? err.message : String(err)}\n`,
      );
      throw new ExitError(EXIT_USAGE);
    }
  }
  return sources;
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString('utf8');
}

/** One finding a line, as compilers print them, then what was looked at. */
function formatText(report: LintReport): string {
  return [...report.findings.map(formatFinding), formatSummary(report)].map((line) => `${line}\n`).join('');
}

function formatFinding({ file, line, column, severity, message, code, source, object, path }: LintFinding): string {
  const where = [object, path].filter((part) => part !== '').join(' ');
  const who = source === 'istio-discovery' ? '' : `, by ${source}`;
  return `${file}:${line}:${column}: ${severity}: ${message} [${code}${who}]${where === '' ? '' : ` ${where}`}`;
}

function formatSummary({ checked, skipped, findings }: LintReport): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const types = new Map<string, number>();
  for (const { type } of skipped) types.set(type, (types.get(type) ?? 0) + 1);
  const others = [...types].sort(([a], [b]) => (a < b ? -1 : 1)).map(([type, count]) => `${count} ${type}`);
  return (
    `${count(checked, 'ServiceEntry', 'ServiceEntries')} checked: ${count(errors, 'error')}, ` +
    `${count(findings.length - errors, 'warning')}.${others.length === 0 ? '' : ` Skipped: ${others.join(', ')}.`}`
  );
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

function formatJson(report: LintReport): string {
  return `${JSON.stringify(report, undefined, 2)}\n`;
}
