import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { ConfigurationError } from '../config/load.js';
import type { Configuration } from '../config/schema.js';
import { InstallError } from '../install/install-error.js';
import { createLogger } from '../telemetry/logger.js';
import type { InstallContext } from '../install/dns-changes.js';
import type { InstallOptions } from '../install/install.js';
import type { DnsPreview } from '../install/preview.js';
import type { Sidecar } from '../install/sidecar.js';
import { ExitError } from './exit-error.js';
import { unifiedDiff } from './line-diff.js';
import { addSettings, readSettings } from './options.js';
import type { Terminal } from './terminal.js';

const SECTIONS = ['install', 'kubernetes', 'observation', 'istio', 'log'] as const;

/** Port of the HTTP address of a collector, and of a sidecar, whose pod has CoreDNS's own ports. */
const HTTP_PORTS = { collector: 8080, sidecar: 8054 };

export function installCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('install').description(
    'Make CoreDNS send to us, see that it does, and put everything back if it does not.',
  );
  addDryRun(command);
  addSettings(command, SECTIONS);
  return command.action(async ({ dryRun = false }: DryRunFlag) => {
    const [{ install }, { previewInstall }] = await Promise.all([
      import('../install/install.js'),
      import('../install/preview.js'),
    ]);
    await withOptions(readSettings(command), { terminal, signal }, async (options) => {
      if (!dryRun) return install(options);
      terminal.stdout.write(formatPreview(await previewInstall(options)));
    });
  });
}

export function repairCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('repair').description(
    'Do what `install` does if somebody has taken us out of CoreDNS since; to be run again and again. It waits longer after each attempt, and gives up after the fifth in a row.',
  );
  addSettings(command, SECTIONS);
  return command.action(async () => {
    const { repair } = await import('../install/repair.js');
    await withOptions(readSettings(command), { terminal, signal }, repair);
  });
}

export function uninstallCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('uninstall').description('Give CoreDNS back what it had before `install`.');
  addDryRun(command);
  addSettings(command, SECTIONS);
  return command.action(async ({ dryRun = false }: DryRunFlag) => {
    const [{ uninstall }, { previewUninstall }] = await Promise.all([
      import('../install/uninstall.js'),
      import('../install/preview.js'),
    ]);
    await withContext(readSettings(command), { terminal, signal }, async (context) => {
      if (!dryRun) return uninstall(context);
      const preview = await previewUninstall(context);
      if (preview !== undefined) terminal.stdout.write(formatPreview(preview));
    });
  });
}

interface DryRunFlag {
  readonly dryRun?: boolean;
}

function addDryRun(command: Command): void {
  command.option('--dry-run', 'print what would be changed in the Corefile and the Deployment, and change nothing');
}

/** Empty where nothing would be changed. */
function formatPreview({ namespace, configMap, corefile, deployment, placeholder }: DnsPreview): string {
  const { address = '', service = '' } = placeholder ?? {};
  const shown = (text: string): string =>
    placeholder === undefined ? text : text.replaceAll(`tcp://${address}:`, `tcp://ADDRESS-OF-SERVICE-${service}:`);
  const yaml = (value: object): string => stringify(value, { compat: 'yaml-1.1', lineWidth: 0 });
  return [
    unifiedDiff(
      `ConfigMap ${namespace}/${configMap.name}, key ${configMap.key}`,
      corefile.before,
      shown(corefile.after),
    ),
    unifiedDiff(
      `Deployment ${namespace}/${deployment.name}, spec.template`,
      yaml(deployment.before),
      yaml(deployment.after),
    ),
  ].join('');
}

async function withOptions(
  configuration: Configuration,
  run: { readonly terminal: Terminal; readonly signal: AbortSignal },
  act: (options: InstallOptions) => Promise<void>,
): Promise<void> {
  const { mode, redisService } = configuration.install;
  const sidecar = readSidecar(configuration);
  const more = { mode, ...(sidecar && { sidecar }), ...(redisService !== undefined && { redisService }) };
  await withContext(configuration, run, async (context) => act({ ...context, ...more }));
}

async function withContext(
  configuration: Configuration,
  { terminal, signal }: { readonly terminal: Terminal; readonly signal: AbortSignal },
  act: (context: InstallContext) => Promise<void>,
): Promise<void> {
  const { openClient } = await import('../install/open-client.js');
  const { install, istio, kubernetes, log, observation } = configuration;
  const client = openClient(kubernetes);
  const automatic = terminal.stderr.isTTY ? 'text' : 'json';
  const format = log.format === 'auto' ? automatic : log.format;
  try {
    await act({
      client,
      namespace: kubernetes.namespace ?? client.namespace ?? 'default',
      owner: istio.owner,
      clusterDomains: observation.clusterDomains,
      service: install.service,
      ports: HTTP_PORTS,
      timeoutMs: install.timeoutSeconds * 1000,
      log: createLogger({ level: log.level, format, stream: terminal.stderr, now: Date.now }),
      signal,
    });
  } catch (err) {
    throw err instanceof InstallError ? new ExitError(err.exitCode, err) : err;
  } finally {
    await client.close();
  }
}

function readSidecar({ install: { mode, sidecar } }: Configuration): Sidecar | undefined {
  if (mode !== 'sidecar') return undefined;
  try {
    return JSON.parse(readFileSync(sidecar ?? '', 'utf8')) as Sidecar; // the chart renders it, and the API server checks it
  } catch {
    const allowed = 'a JSON file with `container` and `volumes`, as the chart makes it';
    throw new ConfigurationError([
      { setting: 'install.sidecar', value: String(sidecar), allowed, from: 'sidecar mode' },
    ]);
  }
}
