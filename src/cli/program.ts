import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { collectCommand } from './collect.js';
import { corefileCommand } from './corefile.js';
import { doctorCommand } from './doctor.js';
import { approveCommand, ignoreCommand, unignoreCommand } from './decide.js';
import { explainCommand } from './explain.js';
import { hostsCommand } from './hosts.js';
import { installCommand, repairCommand, uninstallCommand } from './install.js';
import { lintCommand } from './lint.js';
import { applyCommand, diffCommand, planCommand } from './plan.js';
import { reconcileCommand } from './reconcile.js';
import { rulesCommand } from './rules.js';
import { runCommand } from './run.js';
import { statusCommand } from './status.js';
import { tailCommand } from './tail.js';
import type { Terminal } from './terminal.js';

/** Where the output is no terminal: room beside the longest flag. */
const HELP_COLUMNS = 120;

/** The whole command line. Parsing rejects with CommanderError or ConfigurationError; nothing here ends the process. */
export function createProgram(terminal: Terminal, signal: AbortSignal): Command {
  const program = new Command('istio-discovery')
    .description('Learns the external hosts of a cluster from DNS and writes an Istio ServiceEntry for each.')
    .version(readVersion(), '-V, --version')
    .showSuggestionAfterError()
    .showHelpAfterError('(--help shows what there is)')
    .configureOutput({ getOutHelpWidth: () => terminal.stdout.columns ?? HELP_COLUMNS })
    .exitOverride();
  for (const command of [
    runCommand,
    collectCommand,
    reconcileCommand,
    planCommand,
    applyCommand,
    diffCommand,
    hostsCommand,
    explainCommand,
    approveCommand,
    ignoreCommand,
    unignoreCommand,
    rulesCommand,
    statusCommand,
    tailCommand,
    lintCommand,
    corefileCommand,
    installCommand,
    repairCommand,
    uninstallCommand,
    doctorCommand,
  ]) {
    program.addCommand(command(terminal, signal).copyInheritedSettings(program));
  }
  return program;
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version; // our own package.json
}
