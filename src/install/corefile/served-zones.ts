import type { CorefileDirective, CorefileKey, ServerBlock } from './parser.js';

/** What a server block is for, as far as its keys tell. */
export type BlockPurpose =
  /** Names outside the cluster come through it: the root, or a zone of somebody else's. */
  | 'external'
  /** Only zones of the cluster, reverse zones, and names that a server answers about itself. */
  | 'internal'
  /** One of its keys is no zone and port. */
  | 'unreadable';

const UNKNOWN_VARIABLE = /\{\$[^}]+\}|\{%.+?%\}/;
const SCHEME = /^(?:dns|tls|https|https3|quic|grpc):\/\//;
const PORT = /:\d+$/;
const REVERSE = ['in-addr.arpa', 'ip6.arpa'];
const ABOUT_ITSELF = ['hostname.bind', 'id.server', 'version.bind', 'version.server', 'authors.bind', 'localhost'];

/**
 * What a server block is for. Zones of the cluster are those of every `kubernetes` plugin in the Corefile, and
 * `clusterDomain`.
 */
export function purposeOf(block: ServerBlock, internalZones: readonly string[]): BlockPurpose {
  const zones = block.keys.map(zoneOf);
  if (zones.includes(undefined)) return 'unreadable';
  const isInternal = zones.every((zone = '') => internalZones.some((parent) => isAtOrBelow(zone, parent)));
  return isInternal ? 'internal' : 'external';
}

/** Zones that no external name is in. */
export function internalZonesOf(blocks: readonly ServerBlock[], clusterDomain: string): readonly string[] {
  const named = [...kubernetesZonesOf(blocks), normaliseZone(clusterDomain)].filter((zone) => zone !== '.');
  return [...new Set([...REVERSE, ...ABOUT_ITSELF, ...named])];
}

/** The domains of the cluster: zones of every `kubernetes` plugin, in their order, but the root and those of addresses. */
export function clusterDomainsOf(blocks: readonly ServerBlock[]): readonly string[] {
  const isDomain = (zone: string): boolean =>
    /^[a-z0-9_.-]*[a-z0-9_-]$/.test(zone) && !REVERSE.some((parent) => isAtOrBelow(zone, parent));
  return [...new Set(kubernetesZonesOf(blocks).filter(isDomain))];
}

function kubernetesZonesOf(blocks: readonly ServerBlock[]): readonly string[] {
  return blocks.flatMap((block) =>
    block.directives.filter(({ name }) => name.text === 'kubernetes').flatMap((directive) => zonesOf(directive, block)),
  );
}

/** The arguments on its line; without any, the zones of its server block. */
function zonesOf({ name, tokens }: CorefileDirective, { keys }: ServerBlock): readonly string[] {
  const words = tokens.slice(1).filter(({ line, text }) => line === name.line && text !== '{');
  if (words.length > 0) return words.map(({ text }) => normaliseZone(text));
  return keys.map(zoneOf).filter((zone) => zone !== undefined);
}

/**
 * The zone of a key in lower case without a dot at its end, `.` for the root, a network as the reverse zone that it is in;
 * undefined if it is no zone and port. A key with a variable that is not known stays as it is: it may be any zone.
 *
 * @see coredns/coredns plugin/normalize.go
 */
export function zoneOf({ text }: CorefileKey): string | undefined {
  if (UNKNOWN_VARIABLE.test(text)) return text;
  const withoutScheme = text.replace(SCHEME, '');
  if (withoutScheme.endsWith(':')) return undefined;
  const zone = withoutScheme.replace(PORT, '');
  if (/^\d+(?:\.\d+){3}\/\d+$/.test(zone)) return 'in-addr.arpa';
  if (/^[\da-f]+:[\da-f:]*\/\d+$/i.test(zone)) return 'ip6.arpa';
  return zone === '' || /[{}:,]/.test(zone) ? undefined : normaliseZone(zone);
}

function normaliseZone(zone: string): string {
  return zone === '.' ? zone : zone.replace(/\.$/, '').toLowerCase();
}

function isAtOrBelow(zone: string, parent: string): boolean {
  return zone === parent || zone.endsWith(`.${parent}`);
}
