import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { KubeApiserver } from '../support/kube-apiserver.js';
import { closeAtEnd } from '../support/lifetime.js';

/** When to kill who asks: as it makes its first change, before the API server has heard of it or after it has done it. */
export type KillMoment = 'before' | 'after';

/** Stands in front of an API server and passes everything on, but for one fault. */
export interface KillingProxy {
  readonly url: string;
  /** The next request that changes something gets no answer; `kill` is called instead. */
  arm(moment: KillMoment, kill: () => void): void;
  /** Passes everything on again, should there have been no such request. */
  disarm(): void;
}

/** Starts a proxy on an address of this machine. */
export async function startKillingProxy(server: KubeApiserver, host: string): Promise<KillingProxy> {
  const ca = readFileSync(server.caFile);
  let armed: { readonly moment: KillMoment; readonly kill: () => void } | undefined;

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const fault = incoming.method === 'GET' ? undefined : armed;
    if (fault !== undefined) armed = undefined;
    if (fault?.moment === 'before') return fault.kill();
    const { method, headers } = incoming;
    const upstream = request(`${server.url}${incoming.url}`, { method, headers, ca, agent: false });
    incoming.pipe(upstream);
    const [answer] = (await once(upstream, 'response')) as [IncomingMessage];
    if (fault?.moment === 'after') {
      answer.resume();
      return fault.kill();
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  }

  const proxy = createServer((incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await once(proxy.listen(0, host), 'listening');
  closeAtEnd({
    close: async () => {
      proxy.closeAllConnections();
      proxy.close();
    },
  });
  const { port } = proxy.address() as AddressInfo; // a TCP server that listens
  return {
    url: `http://${host}:${port}`,
    arm: (moment, kill) => (armed = { moment, kill }),
    disarm: () => (armed = undefined),
  };
}
