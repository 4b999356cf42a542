import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { Command, Option } from 'commander';
import { checkCorefile, type CorefileCheck, isFault } from '../install/corefile/check-corefile.js';
import { corefileLine } from '../install/corefile/corefile-line.js';
import { explainCaution, explainFinding, explainRefusal } from '../install/corefile/explain.js';
import { insertTap } from '../install/corefile/insert-tap.js';
import { removeTap } from '../install/corefile/remove-tap.js';
import type { Refused } from '../install/corefile/survey.js';
import { ExitError } from './exit-error.js';
import type { Terminal } from './terminal.js';

const EXIT_FAULTS = 1;
const EXIT_USAGE = 2;
const STANDARD_INPUT = '-';

const EXIT_STATUS = `
Exit status: 0 when it is done, 1 when it is refused, 2 when the file cannot be read.`;

/** `corefile check|patch|unpatch`: the Corefile of a file or of stdin; needs no cluster. */
export function corefileCommand(terminal: Terminal): Command {
  const command = new Command('corefile').description(
    'Look at, add and remove the dnstap line of a Corefile; no cluster.',
  );
  const subcommands = [checkSubcommand(terminal), patchSubcommand(terminal), unpatchSubcommand(terminal)];
  for (const subcommand of subcommands) command.addCommand(subcommand.exitOverride().addHelpText('after', EXIT_STATUS));
  return command;
}

interface TapFlags {
  readonly endpoint: string;
  readonly coredns?: string;
  readonly clusterDomain: string;
}

function addTapFlags(command: Command): Command {
  return command
    .requiredOption('--endpoint <ENDPOINT>', 'where CoreDNS sends to: unix:///path or tcp://address:port')
    .option('--coredns <VERSION>', 'version of CoreDNS, as its image has it (unknown: taken for one with every fault)')
    .option('--cluster-domain <DOMAIN>', 'of the cluster', 'cluster.local');
}

function contextOf({ endpoint, coredns, clusterDomain }: TapFlags) {
  return { endpoint, clusterDomain, ...(coredns !== undefined && { version: coredns }) };
}

function checkSubcommand(terminal: Terminal): Command {
  const command = new Command('check')
    .description('Say whether each server block for external names has the tap; exit code 1 if anything is wrong.')
    .argument('<FILE>', 'the Corefile, or - for stdin')
    .addOption(new Option('-o, --format <FORMAT>', 'how').choices(['text', 'json']).default('text'));
  return addTapFlags(command).action(async (file: string, flags: TapFlags & { readonly format: string }) => {
    const line = corefileLine(contextOf(flags));
    const check = 'refused' in line ? line : checkCorefile(await readBytes(file, terminal), contextOf(flags));
    if (flags.format === 'json') terminal.stdout.write(`${JSON.stringify(check, undefined, 2)}\n`);
    else terminal.stdout.write('refused' in check ? '' : formatCheck(check));
    if ('refused' in check) throw refusal(check, terminal);
    if (check.findings.some(isFault)) throw new ExitError(EXIT_FAULTS);
  });
}

function patchSubcommand(terminal: Terminal): Command {
  const command = new Command('patch')
    .description('Print the Corefile with the tap in each server block for external names.')
    .argument('<FILE>', 'the Corefile, or - for stdin')
    .option('--extra <TEXT>', 'what CoreDNS adds to each message, such as {/kubernetes/client-namespace}');
  return addTapFlags(command).action(async (file: string, flags: TapFlags & { readonly extra?: string }) => {
    const { extra } = flags;
    const result = insertTap(await readBytes(file, terminal), {
      ...contextOf(flags),
      ...(extra !== undefined && { extra }),
    });
    if ('refused' in result) throw refusal(result, terminal);
    for (const caution of result.cautions) terminal.stderr.write(`${caution}: ${explainCaution(caution)}\n`);
    terminal.stdout.write(result.bytes);
  });
}

function unpatchSubcommand(terminal: Terminal): Command {
  const command = new Command('unpatch');
  return command
    .description('Print the Corefile without the tap that patch has added.')
    .argument('<FILE>', 'the Corefile, or - for stdin')
    .option('--endpoint <ENDPOINT>', 'with --force: of the tap')
    .option('--coredns <VERSION>', 'not needed; taken so that the flags of patch may stay')
    .option('--force', 'remove the tap with the endpoint also where the comments around it are gone, whoever wrote it')
    .action(async (file: string, { endpoint, force = false }: { endpoint?: string; force?: boolean }) => {
      if (force && endpoint === undefined) command.error('error: --force needs --endpoint');
      const options = force && endpoint !== undefined ? { unmarkedEndpoint: endpoint } : {};
      const result = removeTap(await readBytes(file, terminal), options);
      if ('refused' in result) throw refusal({ ...result, line: result.problem.line }, terminal);
      terminal.stdout.write(result.bytes);
    });
}

async function readBytes(file: string, { stdin, stderr }: Terminal): Promise<Buffer> {
  try {
    return file === STANDARD_INPUT ? await buffer(stdin) : await readFile(file);
  } catch (err) {
    stderr.write(`istio-discovery: ${file} cannot be read: ${String(err)}\n`);
    throw new ExitError(EXIT_USAGE);
  }
}

function refusal(refused: Refused, { stderr }: Terminal): ExitError {
  stderr.write(`istio-discovery: ${refused.refused}: ${explainRefusal(refused)}\n`);
  return new ExitError(EXIT_FAULTS);
}

function formatCheck({ blocks, findings }: CorefileCheck): string {
  const lines = blocks.map(({ keys, line, taps }) => {
    const list = taps.map(({ endpoint, full, ours }) => `${endpoint}${full ? ' full' : ''}${ours ? ' (ours)' : ''}`);
    return `line ${line}: ${keys.join(' ')}: ${list.length === 0 ? 'no tap' : list.join(', ')}`;
  });
  const problems = findings.map((finding) => {
    const { code, line, file, subject } = finding;
    const at = [file, line === undefined ? undefined : `line ${line}`, subject].filter(Boolean).join(', ');
    return `${isFault(finding) ? 'FAULT' : 'note '}  ${code}${at === '' ? '' : ` (${at})`}: ${explainFinding(code)}`;
  });
  return [...lines, ...problems].map((line) => `${line}\n`).join('');
}
