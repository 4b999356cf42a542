import { isOfPlatform, registrableDomain } from './registrable-domain.js';

/**
 * Names that carry data. A tunnel puts what it sends into the labels below a domain of its own: they are long, no two are
 * alike, and their characters are spread as in a coded text (base32, base64url, hexadecimal).
 *
 * ```
 *   nbswy3dpeb3w64tmmqqgc3tef5zgk43u.aaaaaaae.t.example.com        32 characters of base32, a counter, the parent
 *   9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15.example.com
 * ```
 */
export interface TunnelSettings {
  /** Distinct names below one parent, within `withinMs`, that make it a tunnel. */
  readonly names: number;
  readonly withinMs: number;
}

export const TUNNEL_SETTINGS: TunnelSettings = { names: 50, withinMs: 600_000 };

/** Shorter than this is a name that somebody gave. */
const MIN_CHARACTERS = 24;
/** Bits a character, of 24 characters or more: repeated ones and counters have less. */
const MIN_ENTROPY = 3.2;
/** Random base32 of that length has more, words without a hyphen between them have less. */
const CODED_ENTROPY = 3.9;
/** No word of a name has so many consonants in a row. */
const LONG_WITHOUT_VOWEL = 6;

/**
 * Whether the part of a name below its registrable domain looks like data. Of a tunnel's names nearly all do, of others
 * a few.
 */
export function carriesData(hostname: string, domain = registrableDomain(hostname)): boolean {
  const below = hostname.slice(0, -domain.length - 1);
  if (below.length < MIN_CHARACTERS) return false;
  const longest = below.split('.').reduce((best, label) => (label.length > best.length ? label : best), '');
  const text = longest.length >= MIN_CHARACTERS ? longest : below.replaceAll('.', '');
  return text.length >= MIN_CHARACTERS && looksCoded(text, entropyOf(text));
}

function looksCoded(text: string, entropy: number): boolean {
  if (entropy < MIN_ENTROPY) return false;
  const parts = text.split('-');
  const digits = text.replaceAll(/[^0-9]/g, '').length;
  // Words with hyphens between them are a name, however long.
  if (parts.length > 3 && parts.every((part) => part.length < 12) && digits * 4 < text.length) return false;
  if (parts.length === 1 && entropy >= CODED_ENTROPY) return true;
  return digits * 5 >= text.length || longestWithoutVowel(text) >= LONG_WITHOUT_VOWEL;
}

function longestWithoutVowel(text: string): number {
  return Math.max(...text.split(/[aeiouy0-9-]+/).map(({ length }) => length));
}

/** Shannon entropy in bits a character. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

/** A name and when it was first looked up. */
export interface SeenName {
  readonly hostname: string;
  readonly firstSeenMs: number;
}

/**
 * The parents below which names carry data, apart from platforms, whose names are as odd (load balancers, databases) but
 * whose answers nobody else gives: of the parents of such names the deepest below which there still are four of
 * five of them. Sorted.
 */
export function findTunnelParents(
  names: readonly SeenName[],
  settings: TunnelSettings = TUNNEL_SETTINGS,
): readonly string[] {
  const byDomain = new Map<string, SeenName[]>();
  for (const seen of names) {
    const domain = registrableDomain(seen.hostname);
    if (!carriesData(seen.hostname, domain) || isOfPlatform(seen.hostname)) continue;
    const group = byDomain.get(domain);
    if (group === undefined) byDomain.set(domain, [seen]);
    else group.push(seen);
  }
  return [...byDomain]
    .filter(([, group]) => isBurst(group, settings))
    .map(([domain, group]) => deepestParent(domain, group))
    .sort();
}

function isBurst(group: readonly SeenName[], { names, withinMs }: TunnelSettings): boolean {
  const times = group.map(({ firstSeenMs }) => firstSeenMs).sort((a, b) => a - b);
  return times.some((atMs, index) => (times[index + names - 1] ?? Infinity) - atMs <= withinMs);
}

/** Most of the names must stay below it, or a tunnel through two subdomains would be seen as neither. */
function deepestParent(domain: string, group: readonly SeenName[]): string {
  for (let parent = domain; ;) {
    const counts = new Map<string, number>();
    for (const { hostname } of group) {
      const child = childOf(hostname, parent);
      // A name that is itself the child has no place below it.
      if (child !== undefined && child !== hostname) counts.set(child, (counts.get(child) ?? 0) + 1);
    }
    const [best] = [...counts].sort(([, a], [, b]) => b - a);
    if (best === undefined || best[1] * 5 < group.length * 4) return parent;
    parent = best[0];
  }
}

/** The name with one label more than `parent` that `hostname` is or lies below. */
function childOf(hostname: string, parent: string): string | undefined {
  if (!hostname.endsWith(`.${parent}`)) return undefined;
  const rest = hostname.slice(0, -parent.length - 1);
  return hostname.slice(rest.lastIndexOf('.') + 1);
}
