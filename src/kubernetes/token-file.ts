import { readFileSync } from 'node:fs';

/** As other clients do; the kubelet replaces a token when a fifth of its time is left. */
const READ_EVERY_MS = 60_000;

/** A bearer token that somebody else replaces in its file before it expires, as the kubelet does in a pod. */
export class TokenFile {
  readonly #path: string;
  #token: string | undefined;
  #readAtMs = -Infinity;

  constructor(path: string) {
    this.#path = path;
  }

  /** The token, at most a minute old. */
  read(): string {
    if (this.#token === undefined || performance.now() - this.#readAtMs > READ_EVERY_MS) {
      this.#token = readFileSync(this.#path, 'utf8').trim();
      this.#readAtMs = performance.now();
    }
    return this.#token;
  }

  /** The server did not take it: the next request reads the file again. */
  forget(): void {
    this.#token = undefined;
  }
}
