/** Who says so: the API server by the CRD, istiod's webhook, or this program alone. */
export type FindingSource = 'api-server' | 'istiod' | 'istio-discovery';
export type Severity = 'error' | 'warning';

interface FindingKind {
  readonly severity: Severity;
  readonly source: FindingSource;
}

const refusedByServer: FindingKind = { severity: 'error', source: 'api-server' };
const refusedByIstiod: FindingKind = { severity: 'error', source: 'istiod' };
const warnedByIstiod: FindingKind = { severity: 'warning', source: 'istiod' };
const refusedHere: FindingKind = { severity: 'error', source: 'istio-discovery' };
const warnedHere: FindingKind = { severity: 'warning', source: 'istio-discovery' };

/** Everything that can be found, by stable code. */
export const FINDINGS = {
  // The API server, by the CRD's schema and its CEL rules, and by what holds for every object.
  type: refusedByServer,
  required: refusedByServer,
  'unknown-field': refusedByServer,
  'too-many': refusedByServer,
  'too-long': refusedByServer,
  'api-version': refusedByServer,
  'metadata-name': refusedByServer,
  'metadata-namespace': refusedByServer,
  'metadata-label': refusedByServer,
  'metadata-annotation': refusedByServer,
  'hosts-empty': refusedByServer,
  'host-wildcard-only': refusedByServer,
  location: refusedByServer,
  resolution: refusedByServer,
  'address-cidr-with-dns': refusedByServer,
  'port-number': refusedByServer,
  'port-duplicate': refusedByServer,
  'endpoints-with-none': refusedByServer,
  'endpoints-with-selector': refusedByServer,
  'endpoints-several-with-round-robin': refusedByServer,
  'endpoint-address-missing': refusedByServer,
  'endpoint-socket-path': refusedByServer,
  'endpoint-socket-ports': refusedByServer,
  'endpoint-port-name': refusedByServer,
  'endpoint-weight': refusedByServer,
  'selector-wildcard': refusedByServer,
  // istiod's webhook.
  'host-syntax': refusedByIstiod,
  'host-with-dns': refusedByIstiod,
  'address-syntax': refusedByIstiod,
  'port-name': refusedByIstiod,
  'port-protocol': refusedByIstiod,
  'endpoint-address': refusedByIstiod,
  'endpoint-label': refusedByIstiod,
  'endpoint-port-undeclared': refusedByIstiod,
  'endpoint-socket-needs-one-port': refusedByIstiod,
  'selector-key': refusedByIstiod,
  'several-hosts-on-tcp': refusedByIstiod,
  'export-to': refusedByIstiod,
  'dynamic-dns-host': refusedByIstiod,
  'dynamic-dns-addresses': refusedByIstiod,
  'dynamic-dns-endpoints': refusedByIstiod,
  'dynamic-dns-protocol': refusedByIstiod,
  'dynamic-dns-waypoint': refusedByIstiod,
  'port-tcp-without-addresses': warnedByIstiod,
  'selector-with-none': warnedByIstiod,
  'selector-without-labels': warnedByIstiod,
  'endpoint-without-address': warnedByIstiod,
  'several-hosts-with-addresses': warnedByIstiod,
  'dynamic-dns-partial-wildcard': warnedHere,
  // What both take although it does harm.
  'host-partial-wildcard': refusedHere,
  'host-upper-case': refusedHere,
  'host-unusable': refusedHere,
  'port-reserved': refusedHere,
  'host-trailing-dot': warnedHere,
  'host-public-suffix': warnedHere,
  'address-single-with-none': warnedHere,
  'port-protocol-unusual': warnedHere,
  'port-open-to-all': warnedHere,
  'port-open-without-capture': warnedHere,
} as const satisfies Readonly<Record<string, FindingKind>>;

export type FindingCode = keyof typeof FINDINGS;

/** Where in an object: keys and indices from the top, such as `['spec', 'ports', 1, 'number']`. */
export type FindingPath = readonly (string | number)[];

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly source: FindingSource;
  readonly path: FindingPath;
  readonly message: string;
}

/** Takes what a rule found; {@link FINDINGS} says how bad it is. */
export type Report = (code: FindingCode, path: FindingPath, message: string) => void;

/** `spec.ports[1].number` */
export function formatPath(path: FindingPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}
