import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesClient } from '../kubernetes/client.js';
import { KubernetesError, type KubernetesErrorCode } from '../kubernetes/kubernetes-error.js';
import type { KubernetesObject, KubernetesResource } from '../kubernetes/kubernetes-object.js';
import { readObject, replaceObject } from '../kubernetes/objects.js';
import { InstallError, type InstallErrorCode } from './install-error.js';

/** Name in `metadata.managedFields`. */
export const FIELD_MANAGER = 'istio-discovery-install';

const POLL_MS = 500;
const MAX_CONFLICTS = 10;

/** What the API server says while it restarts or is busy. */
const PASSING: ReadonlySet<KubernetesErrorCode> = new Set([
  'KUBERNETES_ERR_UNREACHABLE',
  'KUBERNETES_ERR_TIMEOUT',
  'KUBERNETES_ERR_SERVER',
  'KUBERNETES_ERR_TOO_MANY_REQUESTS',
]);

/** When to stop waiting, and with which error. */
export interface Patience {
  readonly timeoutMs: number;
  /** What is waited for, for people. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Aborts when the cluster DNS fails. */
  readonly dnsFailed?: AbortSignal;
  readonly code: InstallErrorCode;
}

/**
 * Asks until the answer is true. A failure of the API server that passes is no answer.
 *
 * @throws InstallError with `code` when time is up, INSTALL_ERR_DNS_FAILED or INSTALL_ERR_ABORTED
 */
export async function waitFor(isDone: () => Promise<boolean>, patience: Patience): Promise<void> {
  const { timeoutMs, what, signal, dnsFailed, code } = patience;
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    if (signal.aborted) throw new InstallError('INSTALL_ERR_ABORTED', `stopped while waiting for ${what}`);
    if (dnsFailed?.aborted === true) {
      throw new InstallError('INSTALL_ERR_DNS_FAILED', `the cluster DNS stopped answering while waiting for ${what}`);
    }
    if (await passing(isDone)) return;
    if (Date.now() >= deadlineMs) throw new InstallError(code, `${what} did not come within ${timeoutMs / 1000} s`);
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function passing(isDone: () => Promise<boolean>): Promise<boolean> {
  try {
    return await isDone();
  } catch (err) {
    if (err instanceof KubernetesError && PASSING.has(err.code)) return false;
    throw err;
  }
}

/** Which object to change. */
export interface ChangeOptions {
  readonly client: KubernetesClient;
  readonly resource: KubernetesResource;
  readonly namespace: string;
  readonly name: string;
  readonly signal: AbortSignal;
}

/**
 * Changes an object as it is, and again should somebody else have changed it in between. Returns the object as it was
 * before; `change` returns the very object that it was given where nothing is to be done.
 *
 * @throws InstallError INSTALL_ERR_CONFLICT when it never stays still
 * @throws KubernetesError
 */
export async function changeObject<T extends KubernetesObject>(
  options: ChangeOptions,
  change: (object: T) => T | Promise<T>,
): Promise<T> {
  const { client, resource, namespace, name, signal } = options;
  for (let tries = 0; tries < MAX_CONFLICTS; tries += 1) {
    const before = (await readObject(options)) as T | undefined; // the caller knows the kind of the resource
    if (before === undefined) throw new InstallError('INSTALL_ERR_CONFLICT', `${namespace}/${name} is gone`);
    const after = await change(before);
    if (after === before) return before;
    try {
      await replaceObject({ client, resource, object: after, fieldManager: FIELD_MANAGER, signal });
      return before;
    } catch (err) {
      if (!(err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_CONFLICT')) throw err;
    }
  }
  throw new InstallError('INSTALL_ERR_CONFLICT', `${namespace}/${name} was changed by others ${MAX_CONFLICTS} times`);
}
