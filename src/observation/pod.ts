import type { Observation } from './observation.js';

const decoder = new TextDecoder();

const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/; // RFC 1123 subdomain; `-` alone is no match

/** `extra "{/kubernetes/client-namespace} {/kubernetes/client-pod-name}"`; CoreDNS writes `-` for what it does not know. */
export function parsePod(bytes: Uint8Array, start: number, end: number): Observation['pod'] | undefined {
  const words = decoder.decode(bytes.subarray(start, end)).trim().split(/\s+/);
  const [namespace, name] = words;
  if (words.length !== 2 || namespace === undefined || name === undefined) return undefined;
  return [namespace, name].every((word) => NAME.test(word)) ? { namespace, name } : undefined;
}
