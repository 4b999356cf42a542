import { parseHostname, type Hostname } from '../../src/dns/hostname.js';

/** Hostname of a test, which must be one. */
export function hostname(name: string): Hostname {
  const parsed = parseHostname(name);
  if (typeof parsed !== 'string') throw new Error(`${name} is no hostname: ${parsed.skipped}`);
  return parsed;
}
