import type { Configuration } from '../config/schema.js';
import type { HostStore } from '../host/host-store.js';
import { replay } from '../intake/replay/replay.js';
import type { Logger } from '../telemetry/logger.js';
import { observationOptions } from './observation-options.js';

/** Replays the captures in their order; returns the time of the last message. */
export async function replayAll(
  configuration: Configuration,
  store: HostStore,
  log: Logger,
  signal: AbortSignal,
): Promise<number | undefined> {
  let last: number | undefined;
  for (const file of configuration.replay.files) {
    const observation = observationOptions(configuration, []); // a capture can be from anywhere
    const { frames, lastMs, truncatedBytes } = await replay({ file, store, observation, log, signal });
    log.info({ file, frames, truncatedBytes }, 'capture replayed');
    if (lastMs > 0) last = Math.max(last ?? 0, lastMs);
  }
  return last;
}
