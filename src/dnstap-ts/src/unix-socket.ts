import { chmod, chown, lstat, stat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';

import { DnstapError, nodeErrorCode } from './errors.js';

/** Mode and owner of a unix socket file. */
export interface UnixSocketAccess {
  readonly mode?: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Listens on a unix socket. A socket file at the path is removed if nobody listens on it; anything else there stays.
 *
 * @throws DnstapError `DNSTAP_ERR_ADDRESS_IN_USE`, `DNSTAP_ERR_CONNECTION`
 */
export async function listenOnUnixSocket(server: Server, path: string, access: UnixSocketAccess): Promise<void> {
  try {
    await listen(server, path).catch(async (error: unknown) => {
      if (nodeErrorCode(error) !== 'EADDRINUSE') throw await bindError(path, error);
      await removeStaleSocket(path);
      await listen(server, path);
    });
    if (access.mode !== undefined) await chmod(path, access.mode);
    if (access.owner !== undefined) await chown(path, access.owner.uid, access.owner.gid);
  } catch (error) {
    server.close(); // a socket with another mode or owner than asked for is none
    throw error instanceof DnstapError ? error : listenError(path, error);
  }
}

async function removeStaleSocket(path: string): Promise<void> {
  if (!(await lstat(path)).isSocket()) throw inUse(`${path} is not a socket`);
  if (await somebodyListens(path)) throw inUse(`another process listens on ${path}`);
  await unlink(path);
}

/** libuv calls a directory that is not there a permission that is denied (libuv/libuv `src/unix/pipe.c`). */
async function bindError(path: string, error: unknown): Promise<unknown> {
  if (nodeErrorCode(error) !== 'EACCES') return error;
  return stat(dirname(path)).then(
    () => error,
    (cause: unknown) => cause,
  );
}

/** Only a refused connection proves that nobody listens. */
function somebodyListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => resolve(nodeErrorCode(error) !== 'ECONNREFUSED'));
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

/** An error of `listen` as one of ours. */
export function listenError(endpoint: string, cause: unknown): DnstapError {
  if (nodeErrorCode(cause) === 'EADDRINUSE') return inUse(`${endpoint} is in use`, cause);
  return new DnstapError('DNSTAP_ERR_CONNECTION', `cannot listen on ${endpoint}`, { cause });
}

function inUse(message: string, cause?: unknown): DnstapError {
  return new DnstapError('DNSTAP_ERR_ADDRESS_IN_USE', message, { cause });
}
