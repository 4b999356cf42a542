import type { Configuration } from '../config/schema.js';
import { Health } from '../telemetry/health.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';

export interface Telemetry {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
}

export function createTelemetry({ log }: Configuration, stream: NodeJS.WriteStream): Telemetry {
  const automatic = stream.isTTY ? 'text' : 'json';
  const format = log.format === 'auto' ? automatic : log.format;
  return {
    log: createLogger({ level: log.level, format, stream, now: Date.now }),
    metrics: new Metrics(),
    health: new Health(),
  };
}
