import { rm } from 'node:fs/promises';
import { createServer, connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { HostStore } from './host-store.js';
import { HOST_STORE_ERROR_CODES, HostStoreError } from './host-store-error.js';

/**
 * The embedded store belongs to one process. While that runs, it serves the store to other processes of the same user over
 * a unix socket in the store's directory. A connection is one call, a line of JSON each way:
 *
 * ```
 *   → {"method":"get","args":["www.example.com"]}
 *   ← {"value":…}                  a method that gives one value
 *   ← {"item":…} … {"value":null}  a method that gives many, then its end
 *   ← {"error":{"code":…,"message":…}}
 * ```
 */
const METHODS = {
  record: 'value',
  countRejections: 'value',
  list: 'items',
  summaries: 'items',
  tail: 'items',
  get: 'value',
  attribute: 'value',
  dismiss: 'value',
  transition: 'value',
  decide: 'value',
  setFlags: 'value',
  notePorts: 'value',
  propose: 'value',
  quarantine: 'value',
  forget: 'value',
  reportSource: 'value',
  sources: 'value',
  recordBlindWindow: 'value',
  blindWindows: 'value',
  rules: 'value',
  setRules: 'value',
  awaitedDeletions: 'value',
  awaitDeletions: 'value',
  endDeletions: 'value',
  seenEntries: 'value',
  noteSeen: 'value',
  statistics: 'value',
  rejections: 'value',
} as const satisfies Readonly<Record<Exclude<keyof HostStore, 'close'>, 'value' | 'items'>>;
type Method = keyof typeof METHODS;

const MAX_REQUEST_CHARACTERS = 1_048_576;
const MAX_PATH_OCTETS = 103; // sun_path of macOS; Linux has four more
const SOCKET_NAME = 'store.sock';

/** Where the process that holds a store's directory serves it. */
export function storeSocketPath(directory: string): string {
  return join(directory, SOCKET_NAME);
}

/**
 * Serves a store that this process holds, to its own user only. Undefined when the directory's path is too long for a
 * socket: then other processes find the store locked.
 */
export async function serveStore(store: HostStore, directory: string): Promise<{ close(): Promise<void> } | undefined> {
  const path = storeSocketPath(directory);
  if (Buffer.byteLength(path) > MAX_PATH_OCTETS) return undefined;
  await rm(path, { force: true }); // of a process that was killed: the lock of the directory says that it is gone
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    answer(store, socket).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    const umask = process.umask(0o077); // for its own user; bind() is called at once
    server.once('error', reject).listen(path, resolve);
    process.umask(umask);
  });
  server.unref();
  return {
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer(store: HostStore, socket: Socket): Promise<void> {
  const send = async (message: object): Promise<void> => {
    if (socket.destroyed || socket.write(`${JSON.stringify(message)}\n`)) return;
    await new Promise<void>((resolve) => socket.once('drain', resolve).once('close', resolve));
  };
  try {
    const { method, args } = await readRequest(socket);
    const gone = new AbortController();
    socket.once('close', () => gone.abort());
    // The request is one of METHODS, whose functions are those of HostStore.
    const result = (store[method] as (...args: unknown[]) => unknown).apply(
      store,
      method === 'tail' ? [gone.signal] : [...args],
    );
    if (METHODS[method] === 'items') await sendItems(result as AsyncIterable<unknown>, socket, send);
    else await send({ value: await result });
  } catch (err) {
    const { code, message } = err as { code?: unknown; message?: unknown }; // whatever was thrown
    await send({ error: { code: String(code), message: String(message) } });
  }
  socket.end();
}

async function sendItems(
  items: AsyncIterable<unknown>,
  socket: Socket,
  send: (message: object) => Promise<void>,
): Promise<void> {
  for await (const item of items) {
    if (socket.destroyed) break;
    await send({ item });
  }
  await send({ value: null });
}

async function readRequest(socket: Socket): Promise<{ readonly method: Method; readonly args: readonly unknown[] }> {
  let text = '';
  socket.setEncoding('utf8');
  for await (const piece of socket.iterator({ destroyOnReturn: false })) {
    text += String(piece);
    if (text.length > MAX_REQUEST_CHARACTERS) break;
    if (!text.endsWith('\n')) continue;
    const { method, args } = JSON.parse(text) as { method: string; args: readonly unknown[] };
    if (Object.hasOwn(METHODS, method)) return { method: method as Method, args };
    break;
  }
  throw new HostStoreError('HOST_STORE_UNAVAILABLE', 'not a call of the store');
}

/** The store that another process serves. Calls fail with HOST_STORE_UNAVAILABLE when none does. */
export function connectStore(directory: string): HostStore {
  const path = storeSocketPath(directory);
  const methods = Object.entries(METHODS).map(([method, kind]) => [
    method,
    (...args: readonly unknown[]) => (kind === 'items' ? callItems(path, method, args) : callValue(path, method, args)),
  ]);
  return { ...Object.fromEntries(methods), close: async () => undefined } as HostStore; // METHODS has all the others
}

async function callValue(path: string, method: string, args: readonly unknown[]): Promise<unknown> {
  for await (const reply of call(path, method, args)) return reply.value;
  throw closedEarly(path);
}

async function* callItems(path: string, method: string, args: readonly unknown[]): AsyncGenerator {
  const signal = args.find((arg) => arg instanceof AbortSignal);
  for await (const reply of call(path, method, args, signal)) {
    if (!('item' in reply)) return;
    yield reply.item;
  }
  if (signal?.aborted !== true) throw closedEarly(path); // a list that was cut must not pass for a whole one
}

interface Reply {
  readonly value?: unknown;
  readonly item?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

async function* call(
  path: string,
  method: string,
  args: readonly unknown[],
  signal?: AbortSignal,
): AsyncGenerator<Reply> {
  const socket = connect(path);
  const stop = (): void => void socket.destroy();
  signal?.addEventListener('abort', stop);
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => socket.destroy());
    socket.write(`${JSON.stringify({ method, args })}\n`);
    for await (const line of createInterface({ input: socket })) {
      const reply = JSON.parse(line) as Reply; // written by answer()
      if (reply.error !== undefined) throw toError(reply.error);
      yield reply;
    }
  } catch (err) {
    if (signal?.aborted === true) return;
    if (err instanceof HostStoreError) throw err;
    throw new HostStoreError('HOST_STORE_UNAVAILABLE', `no process serves the store at ${path}`, {
      cause: err,
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    socket.destroy();
  }
}

function closedEarly(path: string): HostStoreError {
  return new HostStoreError('HOST_STORE_UNAVAILABLE', `the process that uses the store ended at ${path}`);
}

function toError({ code, message }: { readonly code: string; readonly message: string }): HostStoreError {
  const known = HOST_STORE_ERROR_CODES.find((name) => name === code) ?? 'HOST_STORE_UNAVAILABLE';
  return new HostStoreError(known, message);
}
