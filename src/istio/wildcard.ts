import { parse } from 'tldts';

/**
 * Zones that many parties share although the public suffix list has only some names below them. Below each of them
 * anybody can rent a name.
 */
const SHARED_ZONES: ReadonlySet<string> = new Set([
  'amazonaws.com',
  'amazonaws.com.cn',
  'azure.com',
  'azureedge.net',
  'azurewebsites.net',
  'cloudfront.net',
  'core.windows.net',
  'windows.net',
  'akamaized.net',
  'akamaiedge.net',
  'edgekey.net',
  'edgesuite.net',
  'fastly.net',
  'googleapis.com',
  'googleusercontent.com',
  'aliyuncs.com',
  'myqcloud.com',
  'oraclecloud.com',
  'digitaloceanspaces.com',
  'herokuapp.com',
]);

/**
 * Whether `*.` before the zone would cover names of many parties: the zone is a public suffix (its private section
 * included), a top-level name, or a zone that a platform shares among its customers.
 *
 * @see https://publicsuffix.org/list/
 */
export function isSharedZone(zone: string): boolean {
  const name = zone.toLowerCase().replace(/\.$/, '');
  if (!name.includes('.') || SHARED_ZONES.has(name)) return true;
  const { publicSuffix, domain } = parse(name, { allowPrivateDomains: true, extractHostname: false });
  return domain === null || publicSuffix === name;
}
