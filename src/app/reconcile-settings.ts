import { ConfigurationError, type ConfigurationProblem } from '../config/load.js';
import type { Configuration } from '../config/schema.js';
import type { BeliefSettings } from '../host/believe.js';
import { parseRule, type HostRule } from '../host/host-rule.js';
import { decidePorts, parsePort } from '../istio/decide-ports.js';
import type { PortSpec } from '../istio/service-entry.js';
import { parseSpecialHost, type SpecialHost } from '../istio/special-host.js';
import type { ReconcileSettings } from '../reconciler/reconcile-once.js';
import { clusterDomainsOf, ownSearchList } from './observation-options.js';
import type { Target } from './target.js';

/** The part of the settings that decides what is written. */
export function reconcileSettings(
  configuration: Configuration,
  { graceMs, once = false }: Pick<Target, 'graceMs'> & { readonly once?: boolean },
): ReconcileSettings {
  const { istio, host, observation, reconcile: limits } = configuration;
  const [clusterDomain] = clusterDomainsOf(observation, ownSearchList());
  return {
    owner: istio.owner,
    exportTo: istio.exportTo,
    defaultNamespace: istio.defaultNamespace,
    apiVersion: 'networking.istio.io/v1',
    lifecycle: beliefSettings(host),
    mode: istio.mode,
    centralNamespace: istio.centralNamespace,
    ports: istio.ports.map(readPort),
    specialHosts: specialHosts(configuration),
    policy: {
      owner: istio.owner,
      maxChanges: limits.maxChanges,
      maxDeletions: limits.maxDeletions,
      maxDeletionShare: limits.maxDeletionShare,
      deletionsConfirmed: limits.confirmDeletions,
      deleteAfterMs: limits.deleteAfterSeconds * 1000,
      deleteAfterPlans: once ? 1 : limits.deleteAfterRuns, // runs may be days apart; the time counts all the same
      maxEntries: limits.maxEntries,
      maxEntriesPerNamespace: limits.maxEntriesPerNamespace,
      rootNamespace: istio.rootNamespace,
      defaultExportTo: istio.meshExportTo,
      capturesDns: istio.dnsCapture,
      ...(clusterDomain === undefined ? {} : { clusterDomain }),
    },
    onDeleted: limits.onDeleted,
    get graceMs() {
      return graceMs(); // asked at each run
    },
  };
}

function beliefSettings(host: Configuration['host']): BeliefSettings {
  return {
    policy: host.policy,
    stabilityMs: host.stabilitySeconds * 1000,
    expiryMs: host.expirySeconds * 1000,
    retireMs: host.retireSeconds * 1000,
    rules: configuredRules({ host }),
    caps: {
      all: host.maxHosts,
      domain: host.maxHostsPerDomain,
      namespace: host.maxHostsPerNamespace,
      workload: host.maxHostsPerWorkload,
    },
    wildcardChildren: host.wildcardChildren,
  };
}

/** The rules of the settings. @throws ConfigurationError */
export function configuredRules({ host }: Pick<Configuration, 'host'>): readonly HostRule[] {
  const parsed = host.rules.map((line) => ({ line, rule: parseRule(line) }));
  const problems = parsed.flatMap(({ line, rule }) =>
    'problem' in rule
      ? [{ setting: 'host.rules', value: JSON.stringify(line), allowed: rule.problem, from: 'settings' }]
      : [],
  );
  if (problems.length > 0) throw new ConfigurationError(problems);
  return parsed.flatMap(({ rule }) => ('problem' in rule ? [] : [rule]));
}

function readPort(text: string): PortSpec {
  const port = parsePort(text);
  const withheld = port && decidePorts([{ ...port, isOrdered: true }], []).withheld[0]?.reason;
  if (port !== undefined && withheld === undefined) return port;
  const allowed = `NUMBER/PROTOCOL, the number from 1 to 65535${withheld === undefined ? '' : `; this one: ${withheld}`}`;
  throw new ConfigurationError([{ setting: 'istio.ports', value: text, allowed, from: 'the settings' }]);
}

/** Hosts of the settings whose entry is not the usual one. @throws ConfigurationError */
function specialHosts({ istio }: Configuration): ReadonlyMap<string, SpecialHost> {
  const lines = [
    ...istio.tcpRanges.map((line) => ({ setting: 'istio.tcpRanges', form: 'ranges', line }) as const),
    ...istio.dnsHosts.map((line) => ({ setting: 'istio.dnsHosts', form: 'dns', line }) as const),
    ...istio.dynamicDnsHosts.map((line) => ({ setting: 'istio.dynamicDnsHosts', form: 'dynamic-dns', line }) as const),
  ];
  const hosts = new Map<string, SpecialHost>();
  const problems = lines.flatMap(({ setting, form, line }) => {
    const problem = (allowed: string): readonly ConfigurationProblem[] => {
      return [{ setting, value: JSON.stringify(line), allowed, from: 'settings' }];
    };
    const special = parseSpecialHost(form, line);
    if ('problem' in special) return problem(special.problem);
    if (hosts.has(special.hostname)) return problem('each host once, in one of these settings');
    if (form === 'dns' && !istio.dnsCapture)
      return problem('nothing without istio.dnsCapture: proxies must capture DNS');
    hosts.set(special.hostname, special);
    return [];
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return hosts;
}
