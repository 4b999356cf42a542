import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runCommand } from './command.js';

/** What scripts/images builds, and what a pod calls it; none is ever pulled. */
export const IMAGES = {
  busybox: 'localhost/busybox:1',
  coredns: `localhost/coredns:${coreDnsVersion('coredns')}`,
  'coredns-1.11': `localhost/coredns:${coreDnsVersion('coredns-1.11')}`,
  'istio-discovery': `localhost/istio-discovery:${ownVersion()}`,
  node: 'localhost/node:24',
  pause: 'localhost/pause:1',
  redis: 'localhost/redis:7.0-bookworm',
} as const;

function coreDnsVersion(part: string): string {
  const modules = readFileSync(join(ROOT, 'test/parts', part, 'go.mod'), 'utf8');
  return /github\.com\/coredns\/coredns (v[\d.]+)/.exec(modules)?.[1] ?? '';
}

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return (manifest as { readonly version: string }).version; // our own package.json
}

/** Building all of them for the first time takes a minute, with a build of the program by `npm ci` among it. */
const BUILD_TIMEOUT_MS = 15 * 60_000;

export type ImageName = keyof typeof IMAGES;

/** Docker archives of the images; builds what is missing. */
export async function imageArchives(images: readonly ImageName[]): Promise<readonly string[]> {
  const { stdout } = await runCommand(`${ROOT}/scripts/images`, images, { timeoutMs: BUILD_TIMEOUT_MS });
  return stdout.trim().split('\n');
}
