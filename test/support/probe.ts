import { once } from 'node:events';
import { get } from 'node:https';
import { connect } from 'node:net';

const PROBE_TIMEOUT_MS = 2_000;

/** Whether something accepts a TCP connection; throws what the system says if not. */
export async function acceptsTcp(host: string, port: number): Promise<void> {
  const socket = connect({ host, port, timeout: PROBE_TIMEOUT_MS });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/** Whether an HTTP address answers with a status of success; throws when nothing answers. */
export async function answersHttp(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  await response.arrayBuffer();
  return response.ok;
}

/** The same for HTTPS with a certificate that the part made for itself a moment ago. */
export async function answersHttps(url: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request = get(url, { rejectUnauthorized: false, timeout: PROBE_TIMEOUT_MS, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy(new Error(`no answer from ${url}`)));
    request.once('error', reject);
  });
}
