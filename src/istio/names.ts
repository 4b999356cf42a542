import { createHash } from 'node:crypto';

/**
 * Longest name that is not shortened. Kubernetes takes 253 characters (RFC 1123 subdomain), a file name 255 octets with
 * its extension, and a temporary file needs a suffix on top of that.
 */
const MAX_PLAIN_CHARACTERS = 200;
const HASH_CHARACTERS = 32; // 128 bits of SHA-256: two hosts never share a name in practice

/**
 * Object name for a host, the same for ever, different for different hosts, a valid RFC 1123 subdomain.
 *
 * ```
 * exact host      learned-<host>
 * wildcard        learned.wildcard.<host without "*.">
 * either, long    learned.long.<hash>.<beginning of the host>
 * ```
 *
 * The three forms cannot meet: what follows `learned` is `-`, `.wildcard.` or `.long.`. The prefix also keeps clear of
 * the names that people give, which is often the bare host: server-side apply would merge into an object of that name.
 *
 * @param host lower case, exact or with `*` as its whole first label
 */
export function serviceEntryName(host: string): string {
  const plain = host.startsWith('*.') ? `learned.wildcard.${host.slice(2)}` : `learned-${host}`;
  if (plain.length <= MAX_PLAIN_CHARACTERS) return plain;
  const hash = createHash('sha256').update(host).digest('hex').slice(0, HASH_CHARACTERS);
  const prefix = `learned.long.${hash}.`;
  const slug = host.replace(/^\*\./, '').slice(0, MAX_PLAIN_CHARACTERS - prefix.length);
  return prefix + slug.replace(/[.-]+$/, '');
}

/** Name of a port: a pure function of what it is, else server-side apply would add a port where it should replace one. */
export function portName(port: { readonly number: number; readonly protocol: string }): string {
  return `${port.protocol.toLowerCase()}-${port.number}`;
}
