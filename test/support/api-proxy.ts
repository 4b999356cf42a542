import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createTemporaryDirectory } from './temporary-directory.js';
import { closeAtEnd } from './lifetime.js';
import type { KubeApiserver } from './kube-apiserver.js';

/** A request on its way to the API server. */
export interface ProxiedRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly atMs: number;
}

/** What the proxy answers itself, instead of the API server. */
export interface InjectedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A proxy before the API server, which can force faults that a sound server does not show. */
export interface ApiProxy {
  /** A kubeconfig of the administrator, or of whom the token says, that leads here. */
  readonly kubeconfigFile: string;
  /** Every request so far, also those that were answered here. */
  readonly requests: ProxiedRequest[];
  /** Asked for each request; undefined: the API server answers. */
  inject: (request: ProxiedRequest) => InjectedAnswer | undefined;
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts a proxy. Its clients speak plain HTTP with it. */
export async function startApiProxy(server: KubeApiserver): Promise<ApiProxy> {
  const ca = readFileSync(server.caFile);
  const listener = createServer((request, response) => {
    const seen = { method: request.method ?? '', url: request.url ?? '', atMs: performance.now() };
    proxy.requests.push(seen);
    const injected = proxy.inject(seen);
    if (injected === undefined) forward({ request, response, to: server.url, ca });
    else answer(response, injected);
  });
  await new Promise<void>((resolve) => {
    listener.listen(0, '127.0.0.1', resolve);
  });
  const proxy: ApiProxy = {
    // Safe: a server that listens on TCP has such an address.
    kubeconfigFile: writeKubeconfig((listener.address() as AddressInfo).port, server.token),
    requests: [],
    inject: () => undefined,
    cut: () => listener.closeAllConnections(),
    close: async () => {
      forget();
      listener.closeAllConnections();
      await new Promise((resolve) => {
        listener.close(resolve);
      });
    },
  };
  const forget = closeAtEnd({ close: async () => proxy.close(), describe: () => '' });
  return proxy;
}

function forward(options: {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly to: string;
  readonly ca: Buffer;
}): void {
  const { request, response, to, ca } = options;
  const { method, headers, url } = request;
  const onward = requestHttps(new URL(url ?? '', to), { method, headers: { ...headers, host: new URL(to).host }, ca });
  onward.on('response', (answered) => {
    response.writeHead(answered.statusCode ?? 502, answered.headers);
    response.flushHeaders();
    answered.pipe(response);
    answered.on('error', () => response.destroy());
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}

function answer(response: ServerResponse, { status, headers = {} }: InjectedAnswer): void {
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, message: 'injected by the test' };
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function writeKubeconfig(port: number, token: string): string {
  const file = createTemporaryDirectory().file('kubeconfig');
  const cluster = { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
  writeFileSync(
    file,
    JSON.stringify({
      clusters: [{ name: 'proxy', cluster }],
      users: [{ name: 'administrator', user: { token } }],
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'administrator', namespace: 'default' } }],
      'current-context': 'proxy',
    }),
    { mode: 0o600 },
  );
  return file;
}
