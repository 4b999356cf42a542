import { userInfo } from 'node:os';
import { Command } from 'commander';
import { withStore } from '../app/store.js';
import { parseHostname, type Hostname } from '../dns/hostname.js';
import type { DecisionKind } from '../host/host-record.js';
import type { HostStore } from '../host/host-store.js';
import { isSharedParent } from '../host/registrable-domain.js';
import { ExitError } from './exit-error.js';
import { addSettings, readSettings } from './options.js';
import type { Terminal } from './terminal.js';
import { ask, describeReach } from './wildcard-reach.js';

const EXIT_REFUSED = 1;
const EXIT_STATUS = `
HOST may be *.parent: one entry for every name below the parent, now and later. To approve one says first what that
opens, and asks; where nobody can be asked, only --yes approves it.

Exit status: 0 when all was decided, 1 when a host is not known or may not be decided; the others are decided.`;

interface DecideOptions {
  readonly why: string;
  readonly by: string;
  readonly yes?: true;
}

export const approveCommand = (terminal: Terminal): Command =>
  decisionCommand(terminal, 'approve', 'Have a ServiceEntry written for hosts, whatever rules and the policy say.');
export const ignoreCommand = (terminal: Terminal): Command =>
  decisionCommand(terminal, 'ignore', 'Have no ServiceEntry for hosts, whatever rules and the policy say.');
export const unignoreCommand = (terminal: Terminal): Command =>
  decisionCommand(terminal, 'unignore', 'Take back that hosts are ignored or quarantined: they are candidates again.');

function decisionCommand(terminal: Terminal, kind: DecisionKind, description: string): Command {
  const command = new Command(kind)
    .description(description)
    .argument('<HOST...>')
    .option('--why <TEXT>', 'why, for those who ask later; explain shows it', '')
    .option('--by <NAME>', 'who decides', userName())
    .addHelpText('after', EXIT_STATUS);
  if (kind === 'approve') command.option('-y, --yes', 'approve *.parent without asking');
  addSettings(command, ['store', 'log']);
  return command.action(async (names: readonly string[], options: DecideOptions) => {
    const refusals = await withStore(readSettings(command), async (store) => {
      const refused: string[] = [];
      for (const name of names) {
        const outcome = await decide({ store, terminal }, { name, kind, ...options });
        if ('refused' in outcome) refused.push(`${name}: ${outcome.refused}`);
        else terminal.stdout.write(outcome.text);
      }
      return refused;
    });
    for (const refusal of refusals) terminal.stderr.write(`istio-discovery: ${refusal}\n`);
    if (refusals.length > 0) throw new ExitError(EXIT_REFUSED);
  });
}

/** The name that the system has for who runs this; in a container there may be none. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

async function decide(
  { store, terminal }: { readonly store: HostStore; readonly terminal: Terminal },
  { name, kind, why, by, yes }: DecideOptions & { readonly name: string; readonly kind: DecisionKind },
): Promise<{ readonly refused: string } | { readonly text: string }> {
  const hostname = parseDecidable(name);
  if (typeof hostname !== 'string') return hostname;
  if (kind === 'approve' && hostname.startsWith('*.')) {
    const refused = await refuseWildcard({ store, terminal }, hostname, yes === true);
    if (refused !== undefined) return { refused };
  }
  const before = await store.get(hostname);
  const after = await store.decide({ hostname, kind, why, by, atMs: Date.now() });
  if (after === undefined) return { refused: 'no such host; istio-discovery explain says more' };
  const change = before?.state === after.state ? after.state : `${before?.state ?? 'new'} → ${after.state}`;
  return { text: `${hostname}: ${change}\n` };
}

/** Why a wildcard is not approved, if it is not: nothing is stored before it is said what that opens. */
async function refuseWildcard(
  { store, terminal }: { readonly store: HostStore; readonly terminal: Terminal },
  hostname: Hostname,
  isConfirmed: boolean,
): Promise<string | undefined> {
  if (isSharedParent(hostname.slice(2))) {
    return 'it would open the names of others: the parent is a public or shared suffix';
  }
  const reach = await describeReach(store, hostname);
  terminal.stdout.write(`${hostname}\n${reach.map((line) => `  ${line}\n`).join('')}`);
  if (isConfirmed) return undefined;
  const answer = await ask(terminal, `Approve ${hostname}?`);
  if (answer === undefined) return 'not approved, as nobody can be asked; --yes approves it';
  return answer ? undefined : 'not approved';
}

function parseDecidable(text: string): Hostname | { readonly refused: string } {
  const isWildcard = text.startsWith('*.');
  const hostname = parseHostname(isWildcard ? text.slice(2) : text);
  if (typeof hostname !== 'string') return { refused: `no host name (${hostname.skipped})` };
  return isWildcard ? (`*.${hostname}` as Hostname) : hostname; // records of wildcards are named so
}
