import type { Hostname } from '../dns/hostname.js';
import { buildServiceEntry } from './build-service-entry.js';
import { parsePort } from './decide-ports.js';
import { IstioError } from './istio-error.js';
import { DEFAULT_PORTS, type PortSpec } from './service-entry.js';

/**
 * A host whose entry is not the usual one, because a person says so, who knows the mesh.
 *
 * | form          | line                                   | entry                                                           |
 * | ------------- | -------------------------------------- | --------------------------------------------------------------- |
 * | `ranges`      | `db.example.com 5432 198.51.100.0/24`  | NONE, TCP, matched by the ranges                                |
 * | `dns`         | `db.example.com 5432/TCP,443/TLS`      | DNS: every proxy that sees it looks the host up for ever        |
 * | `dynamic-dns` | `*.example.com`                        | DYNAMIC_DNS, 80/HTTP and 443/TLS: looked up when used (1.30 on) |
 */
export interface SpecialHost {
  readonly hostname: Hostname | `*.${string}`;
  readonly resolution: 'NONE' | 'DNS' | 'DYNAMIC_DNS';
  /** All of them: what is not declared breaks where proxies answer DNS. */
  readonly ports: readonly PortSpec[];
  readonly addresses: readonly string[];
}

export type SpecialForm = 'ranges' | 'dns' | 'dynamic-dns';

const FORMS: Readonly<Record<SpecialForm, { readonly words: number; readonly shape: string }>> = {
  ranges: { words: 3, shape: 'HOST PORT[,PORT…] CIDR[,CIDR…]' },
  dns: { words: 2, shape: 'HOST PORT/PROTOCOL[,PORT/PROTOCOL…]' },
  'dynamic-dns': { words: 1, shape: '*.DOMAIN' },
};

/** Reads a line; `problem` says what is wrong with it. */
export function parseSpecialHost(form: SpecialForm, line: string): SpecialHost | { readonly problem: string } {
  const words = line.trim().split(/\s+/);
  const { words: count, shape } = FORMS[form];
  const [hostname = '', portWord = '', addressWord = ''] = words;
  if (words.length !== count) return { problem: shape };
  const ports = portsOf(form, portWord);
  if (ports === undefined) return { problem: `${shape}, a port from 1 to 65535` };
  const special = {
    hostname: hostname as SpecialHost['hostname'], // checked by the build below
    resolution: RESOLUTIONS[form],
    ports,
    addresses: addressWord === '' ? [] : addressWord.split(','),
  };
  try {
    buildServiceEntry({ ...special, namespace: 'any', owner: 'any' });
    return special;
  } catch (err) {
    if (err instanceof IstioError) return { problem: `${shape}; this one: ${err.message}` };
    throw err;
  }
}

const RESOLUTIONS = { ranges: 'NONE', dns: 'DNS', 'dynamic-dns': 'DYNAMIC_DNS' } as const;

function portsOf(form: SpecialForm, word: string): readonly PortSpec[] | undefined {
  if (form === 'dynamic-dns') return DEFAULT_PORTS;
  const texts = word.split(',').map((text) => (form === 'ranges' ? `${text}/TCP` : text));
  const ports = texts.map(parsePort);
  return ports.every((port) => port !== undefined) ? ports : undefined;
}
