import { parseHostname, type Hostname } from '../../src/dns/hostname.js';

/** Hostname of a test, which must be one; also a wildcard, which a record of hosts below a parent has as its name. */
export function hostname(name: string): Hostname {
  if (name.startsWith('*.')) return `*.${hostname(name.slice(2))}` as Hostname;
  const parsed = parseHostname(name);
  if (typeof parsed !== 'string') throw new Error(`${name} is no hostname: ${parsed.skipped}`);
  return parsed;
}
