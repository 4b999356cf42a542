import { randomUUID } from 'node:crypto';
import type { KubernetesObject } from '../../src/kubernetes/kubernetes-object.js';
import type { KubeApiserver } from '../support/kube-apiserver.js';

/** Operations of one transaction; etcd takes 128. */
const MAX_OPERATIONS = 100;

/** What differs from the template. */
export interface BenchCopy {
  readonly name: string;
  readonly namespace: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/**
 * Objects by the thousand. One of a kind is made through the API server, so that it is as large as real ones, managed
 * fields and all; the others are written to etcd as copies of it. The API server lists and watches them as any other, and
 * the making takes seconds in place of minutes on a machine that both share.
 */
export class BenchObjects {
  readonly #etcdUrl: string;
  /** Where the API server keeps the kind: `/registry/pods`. */
  readonly #prefix: string;
  readonly #template: KubernetesObject;

  constructor(server: KubeApiserver, prefix: string, template: KubernetesObject) {
    this.#etcdUrl = server.etcd.url;
    this.#prefix = prefix;
    this.#template = template;
  }

  async put(copies: readonly BenchCopy[]): Promise<void> {
    await this.#write(copies.map((copy) => ({ requestPut: { key: this.#keyOf(copy), value: this.#valueOf(copy) } })));
  }

  async delete(copies: readonly BenchCopy[]): Promise<void> {
    await this.#write(copies.map((copy) => ({ requestDeleteRange: { key: this.#keyOf(copy) } })));
  }

  #valueOf({ name, namespace, fields }: BenchCopy): string {
    const own = { name, namespace, uid: randomUUID(), creationTimestamp: timeText(), resourceVersion: undefined };
    const object = { ...this.#template, metadata: { ...this.#template.metadata, ...own }, ...fields };
    return toBase64(JSON.stringify(object));
  }

  #keyOf({ name, namespace }: BenchCopy): string {
    return toBase64(`${this.#prefix}/${namespace}/${name}`);
  }

  async #write(operations: readonly object[]): Promise<void> {
    for (let start = 0; start < operations.length; start += MAX_OPERATIONS) {
      const body = JSON.stringify({ success: operations.slice(start, start + MAX_OPERATIONS) });
      const answer = await fetch(`${this.#etcdUrl}/v3/kv/txn`, { method: 'POST', body });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`etcd: ${answer.status} ${text}`);
    }
  }
}

/** As Kubernetes writes times, in whole seconds. */
export function timeText(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}
