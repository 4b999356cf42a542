import { parseHostname, type Hostname } from '../dns/hostname.js';
import { isBelow, isSharedParent, registrableDomain } from './registrable-domain.js';

/** Which hosts a rule is about. */
export interface HostPattern {
  /**
   * - `exact`: the name itself. Written `api.example.com`.
   * - `suffix`: every name below it, however deep, not itself. Written `*.example.com`.
   * - `domain`: every name of the registrable domain, and the domain itself. Written `domain:example.com`.
   */
  readonly kind: 'exact' | 'suffix' | 'domain';
  readonly name: Hostname;
}

export interface RulePort {
  readonly number: number;
  readonly protocol: string;
}

/**
 * What a rule says of the hosts that it matches. Written as one line:
 *
 * ```
 *   allow PATTERN                          approved without a person
 *   ignore PATTERN                         never an entry
 *   wildcard *.PARENT                      one entry for all children, as soon as there is one child
 *   port PATTERN NUMBER/PROTOCOL[,…]       these ports instead of the default ones
 *   namespace PATTERN NAMESPACE[,…]        entries in these namespaces instead of those that use the host
 * ```
 */
export type HostRule =
  | { readonly action: 'allow' | 'ignore' | 'wildcard'; readonly pattern: HostPattern }
  | { readonly action: 'port'; readonly pattern: HostPattern; readonly ports: readonly RulePort[] }
  | { readonly action: 'namespace'; readonly pattern: HostPattern; readonly namespaces: readonly string[] };

export const RULE_ACTIONS = ['allow', 'ignore', 'wildcard', 'port', 'namespace'] as const;

const RULE_PROTOCOLS = ['TLS', 'HTTP', 'HTTP2', 'GRPC'] as const; // those that an entry may declare without addresses
const PORT = /^(\d{1,5})\/([A-Za-z0-9]+)$/;
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/; // RFC 1123 label

/** Parses one line; `problem` says what is wrong with it. */
export function parseRule(text: string): HostRule | { readonly problem: string } {
  const [action = '', patternText = '', ...rest] = text.trim().split(/\s+/);
  const pattern = parsePattern(patternText);
  if ('problem' in pattern) return pattern;
  const tooMuch = { problem: `unexpected ${JSON.stringify(rest.join(' '))}` };
  switch (action) {
    case 'allow':
    case 'ignore':
      return rest.length > 0 ? tooMuch : { action, pattern };
    case 'wildcard':
      return rest.length > 0 ? tooMuch : wildcardRule(pattern);
    case 'port':
      return portRule(pattern, rest.join(''));
    case 'namespace':
      return namespaceRule(pattern, rest.join(''));
    default:
      return { problem: `unknown action ${JSON.stringify(action)}, expected one of ${RULE_ACTIONS.join(', ')}` };
  }
}

/** The line that {@link parseRule} reads. */
export function formatRule(rule: HostRule): string {
  const line = `${rule.action} ${formatPattern(rule.pattern)}`;
  if (rule.action === 'port') {
    return `${line} ${rule.ports.map(({ number, protocol }) => `${number}/${protocol}`).join(',')}`;
  }
  return rule.action === 'namespace' ? `${line} ${rule.namespaces.join(',')}` : line;
}

/** The first rule about a host that does one of these things. */
export function firstRule(
  rules: readonly HostRule[],
  hostname: string,
  actions: readonly HostRule['action'][],
): HostRule | undefined {
  if (rules.length === 0) return undefined;
  const domain = registrableDomain(hostname);
  return rules.find((rule) => actions.includes(rule.action) && matches(rule.pattern, hostname, domain));
}

function matches(pattern: HostPattern, hostname: string, domain: string): boolean {
  if (pattern.kind === 'exact') return hostname === pattern.name;
  return pattern.kind === 'suffix' ? isBelow(hostname, pattern.name) : domain === pattern.name;
}

function parsePattern(text: string): HostPattern | { readonly problem: string } {
  const [kind, name] = readPatternKind(text);
  const parsed = parseHostname(name);
  if (typeof parsed !== 'string') return { problem: `${JSON.stringify(text)} is no host pattern: ${parsed.skipped}` };
  if (kind === 'domain' && registrableDomain(parsed) !== parsed) {
    return { problem: `${JSON.stringify(name)} is no registrable domain; that is ${registrableDomain(parsed)}` };
  }
  return { kind, name: parsed };
}

function readPatternKind(text: string): readonly [HostPattern['kind'], string] {
  if (text.startsWith('*.')) return ['suffix', text.slice(2)];
  return text.startsWith('domain:') ? ['domain', text.slice('domain:'.length)] : ['exact', text];
}

function formatPattern({ kind, name }: HostPattern): string {
  if (kind === 'suffix') return `*.${name}`;
  return kind === 'domain' ? `domain:${name}` : name;
}

function wildcardRule(pattern: HostPattern): HostRule | { readonly problem: string } {
  if (pattern.kind !== 'suffix') return { problem: `${formatPattern(pattern)} is no wildcard; expected *.parent` };
  return isSharedParent(pattern.name)
    ? { problem: `*.${pattern.name} would open the names of others: ${pattern.name} is a public or shared suffix` }
    : { action: 'wildcard', pattern };
}

function portRule(pattern: HostPattern, text: string): HostRule | { readonly problem: string } {
  const ports: RulePort[] = [];
  for (const word of text.split(',')) {
    const [, number, protocol = ''] = PORT.exec(word) ?? [];
    const isValid = Number(number) >= 1 && Number(number) <= 65_535;
    const known = RULE_PROTOCOLS.find((name) => name === protocol.toUpperCase());
    if (!isValid || known === undefined) {
      return { problem: `${JSON.stringify(word)} is no port; expected NUMBER/${RULE_PROTOCOLS.join('|')}` };
    }
    ports.push({ number: Number(number), protocol: known });
  }
  return { action: 'port', pattern, ports };
}

function namespaceRule(pattern: HostPattern, text: string): HostRule | { readonly problem: string } {
  const namespaces = text.split(',');
  const wrong = namespaces.find((name) => !NAMESPACE.test(name));
  return wrong === undefined
    ? { action: 'namespace', pattern, namespaces }
    : { problem: `${JSON.stringify(wrong)} is no namespace` };
}

/** Rules as a store keeps them; a line of another version of the program that this one cannot read is left out. */
export function readRules(stored: { readonly version: number; readonly rules: readonly string[] } | undefined): {
  readonly version: number;
  readonly rules: readonly HostRule[];
} {
  const rules = (stored?.rules ?? []).map(parseRule).filter((rule): rule is HostRule => !('problem' in rule));
  return { version: stored?.version ?? 0, rules };
}
