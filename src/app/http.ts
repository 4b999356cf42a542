import { HttpServer } from '../api/http-server.js';
import type { Configuration } from '../config/schema.js';
import type { RunningCollector } from './collector.js';
import type { Running } from './running.js';
import type { Telemetry } from './telemetry.js';

export async function startHttp(
  { http }: Configuration,
  { log, metrics, health }: Telemetry,
  connections?: RunningCollector['connections'],
): Promise<Running> {
  if (http.address === '') return { close: async () => undefined };
  const server = new HttpServer({
    address: http.address,
    health,
    metrics,
    log: log.child({ component: 'http' }),
    ...(connections && { connections }),
  });
  await server.listen();
  return server;
}
