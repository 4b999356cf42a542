import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

export interface FakeApiServer {
  readonly kubeconfig: string;
  /** Connections that were opened so far. */
  connections(): number;
  /** Method and URL of every request so far. */
  readonly requests: string[];
  close(): Promise<void>;
}

/** An HTTP server that misbehaves as told, in front of which a kubeconfig points. */
export async function startFakeApiServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<FakeApiServer> {
  const requests: string[] = [];
  let connections = 0;
  const server: Server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // Safe: a server that listens on TCP has such an address.
  const { port } = server.address() as AddressInfo;
  const kubeconfig = createTemporaryDirectory().file('kubeconfig');
  const cluster = { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'fake', cluster }],
      users: [{ name: 'nobody', user: { token: 'none' } }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'nobody', namespace: 'shop' } }],
      'current-context': 'fake',
    }),
  );
  return {
    kubeconfig,
    connections: () => connections,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

export function sendJson(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
