import { getDomain, getPublicSuffix } from 'tldts';

/** Names may hold what a host cannot (`_`), and each is a bare name: no URL has to be taken apart. */
const OPTIONS = { allowPrivateDomains: true, extractHostname: false, validateHostname: false } as const;

/**
 * Suffixes below which strangers have names, though the Public Suffix List has them not, or not all of them: a wildcard
 * there would open what belongs to others.
 *
 * @see https://publicsuffix.org, whose private section has most of its kind
 */
const SHARED_SUFFIXES: ReadonlySet<string> = new Set([
  'akadns.net',
  'akamaiedge.net',
  'akamaihd.net',
  'amazonaws.com',
  'amazonaws.com.cn',
  'atlassian.net',
  'auth0.com',
  'azure-api.net',
  'azure.com',
  'azure.net',
  'azurecr.io',
  'azurefd.net',
  'cloudapp.net',
  'edgekey.net',
  'edgesuite.net',
  'fastly.net',
  'googleapis.com',
  'googleusercontent.com',
  'mongodb.net',
  'okta.com',
  'oraclecloud.com',
  'r2.dev',
  'salesforce.com',
  'sharepoint.com',
  'snowflakecomputing.com',
  'trafficmanager.net',
  'windows.net',
  'zendesk.com',
]);

/**
 * The registrable domain: the public suffix (the private section of the list and the kept list included) and one label
 * more. A name that is itself such a suffix stands for itself.
 */
export function registrableDomain(name: string): string {
  const host = withoutStar(name);
  const domain = getDomain(host, OPTIONS) ?? host;
  if (!SHARED_SUFFIXES.has(domain) || host === domain) return domain;
  return host.slice(host.lastIndexOf('.', host.length - domain.length - 2) + 1);
}

/** Whether the name is one that a platform gives, of those in the kept list: its customers do not answer for it. */
export function isOfPlatform(name: string): boolean {
  return SHARED_SUFFIXES.has(getDomain(withoutStar(name), OPTIONS) ?? name);
}

/** The parents of a name, from its own up to its registrable domain. */
export function parentsOf(hostname: string): readonly string[] {
  const domain = registrableDomain(hostname);
  const parents: string[] = [];
  for (let dot = hostname.indexOf('.'); dot >= 0; dot = hostname.indexOf('.', dot + 1)) {
    const parent = hostname.slice(dot + 1);
    if (parent.length < domain.length) break;
    parents.push(parent);
  }
  return parents;
}

/** Whether a wildcard below `parent` would reach the names of strangers: at or above a public suffix or a shared one. */
export function isSharedParent(parent: string): boolean {
  if (!parent.includes('.') || getDomain(parent, OPTIONS) === null) return true;
  if (getPublicSuffix(parent, OPTIONS) === parent) return true;
  return isWithinPlatform(parent) || [...SHARED_SUFFIXES].some((shared) => isBelow(shared, parent));
}

/** Whether `name` lies below `parent`. */
export function isBelow(name: string, parent: string): boolean {
  return name.endsWith(parent) && name.charCodeAt(name.length - parent.length - 1) === DOT;
}

const DOT = 0x2e;

/** Labels below a kept suffix that still are the platform's: `rds.amazonaws.com`, `eu-west-1.rds.amazonaws.com`. */
const PLATFORM_LABELS = 2;

function isWithinPlatform(parent: string): boolean {
  const domain = getDomain(parent, OPTIONS) ?? parent;
  if (!SHARED_SUFFIXES.has(domain)) return false; // or the list knows better where the names of a customer begin
  return parent.split('.').length - domain.split('.').length <= PLATFORM_LABELS;
}

function withoutStar(name: string): string {
  return name.startsWith('*.') ? name.slice(2) : name;
}
