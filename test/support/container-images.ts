import { ROOT, runCommand } from './command.js';

/** What scripts/images builds, and what a pod calls it; none is ever pulled. */
export const IMAGES = {
  busybox: 'localhost/busybox:1',
  node: 'localhost/node:24',
  pause: 'localhost/pause:1',
  redis: 'localhost/redis:7.0-bookworm',
} as const;

/** Building all of them for the first time takes a minute, with a build of the program by `npm ci` among it. */
const BUILD_TIMEOUT_MS = 15 * 60_000;

export type ImageName = 'busybox' | 'coredns' | 'coredns-1.11' | 'istio-discovery' | 'node' | 'pause' | 'redis';

/** Docker archives of the images; builds what is missing. */
export async function imageArchives(images: readonly ImageName[]): Promise<readonly string[]> {
  const { stdout } = await runCommand(`${ROOT}/scripts/images`, images, { timeoutMs: BUILD_TIMEOUT_MS });
  return stdout.trim().split('\n');
}
