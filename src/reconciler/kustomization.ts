import { access, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ReconcilerError } from './reconciler-error.js';
import { errorCodeOf } from './sink.js';

const FILE = 'kustomization.yaml';
/** Other names that kustomize takes; a directory may have only one of them. */
const OTHER_FILES = ['kustomization.yml', 'Kustomization'];
/** The first line of each file of ours: without it a file is somebody else's. */
const MARK =
  '# Written by istio-discovery, which replaces it: put changes into a kustomization that names this directory.\n';

/** The `kustomization.yaml` of a directory of entries. */
export class Kustomization {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws ReconcilerError RECONCILER_ERR_FOREIGN_FILE when there is one that this program did not write */
  async check(): Promise<void> {
    const text = await readIfThere(this.#path);
    if (text !== undefined && !text.startsWith(MARK)) throw foreignFile(this.#path);
    for (const name of OTHER_FILES) {
      const other = join(this.#directory, name);
      if (await isThere(other)) throw foreignFile(other);
    }
  }

  /** Lists the files; writes nothing when that is what it lists already. */
  async write(resources: readonly string[]): Promise<void> {
    const document = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources };
    const text = MARK + stringify(document, { compat: 'yaml-1.1', lineWidth: 0 });
    if ((await readIfThere(this.#path)) === text) return;
    const temporary = `${this.#path}.${process.pid}.tmp`;
    await writeFile(temporary, text, { flush: true });
    await rename(temporary, this.#path);
  }

  get #path(): string {
    return join(this.#directory, FILE);
  }
}

/** @internal A file is there that this program did not write, or not any more as it wrote it. */
export function foreignFile(path: string): ReconcilerError {
  return new ReconcilerError('RECONCILER_ERR_FOREIGN_FILE', `${path} holds something else`);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (err) {
    if (errorCodeOf(err) === 'ENOENT') return undefined;
    throw err;
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
