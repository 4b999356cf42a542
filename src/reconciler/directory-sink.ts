import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { formatServiceEntry } from '../istio/format-yaml.js';
import { FIELD_MANAGER, MANAGED_BY_LABEL } from '../istio/ownership.js';
import { readServiceEntry, type ServiceEntry } from '../istio/service-entry.js';
import type { PlannedUpdate, ServiceEntryPlan } from '../plan/service-entry-plan.js';
import { sealOf, withEditor } from './file-seal.js';
import { foreignFile, Kustomization } from './kustomization.js';
import {
  errorCodeOf,
  toFailure,
  type ServiceEntrySink,
  type SinkFailure,
  type SinkResult,
  type SinkState,
} from './sink.js';

const YAML_FILE = /\.ya?ml$/;

export interface DirectorySinkOptions {
  /** Keep a `kustomization.yaml` that lists the files, for `kubectl apply -k DIRECTORY`. @defaultValue false */
  readonly isKustomization?: boolean;
}

/**
 * Writes `<namespace>.<name>.yaml` files, one object each, for `kubectl apply -f DIRECTORY`. Files that this program did
 * not write stay as they are; ServiceEntries in them count as others'. One whose `spec` somebody edited stays as it is, too.
 */
export class DirectorySink implements ServiceEntrySink {
  readonly #directory: string;
  readonly #kustomization: Kustomization | undefined;

  constructor(directory: string, { isKustomization = false }: DirectorySinkOptions = {}) {
    this.#directory = directory;
    if (isKustomization) this.#kustomization = new Kustomization(directory);
  }

  /** @throws ReconcilerError RECONCILER_ERR_FOREIGN_FILE when somebody else's kustomization is there */
  async read(): Promise<SinkState> {
    await mkdir(this.#directory, { recursive: true });
    await this.#kustomization?.check();
    const names = (await readdir(this.#directory)).filter((name) => YAML_FILE.test(name)).sort();
    const files = await Promise.all(names.map((name) => readFile(join(this.#directory, name), 'utf8')));
    return { entries: files.flatMap(readEntries) };
  }

  async apply(plan: ServiceEntryPlan): Promise<SinkResult> {
    const failures: SinkFailure[] = [];
    const carryOut = async <T>(
      items: readonly T[],
      entryOf: (item: T) => ServiceEntry,
      work: (item: T) => Promise<void>,
    ) => {
      const done: ServiceEntry[] = [];
      for (const item of items) {
        try {
          await work(item);
          done.push(entryOf(item));
        } catch (err) {
          failures.push(toFailure(entryOf(item), err));
        }
      }
      return done;
    };
    const result = {
      created: await carryOut(
        plan.create,
        ({ entry }) => entry,
        async ({ entry }) => this.#create(entry),
      ),
      updated: await carryOut(
        plan.update,
        ({ entry }) => entry,
        async (update) => this.#update(update),
      ),
      deleted: await carryOut(
        plan.delete,
        ({ current }) => current,
        async ({ current }) => this.#delete(current),
      ),
      failures,
    };
    await this.#kustomization?.write(await this.#ownFiles());
    return result;
  }

  /** Names of the files that hold an entry of this program, and nothing else, sorted. */
  async #ownFiles(): Promise<readonly string[]> {
    const names = (await readdir(this.#directory)).filter((name) => YAML_FILE.test(name)).sort();
    const own: string[] = [];
    for (const name of names) {
      const path = join(this.#directory, name);
      const [only, ...others] = readEntries(await readFile(path, 'utf8'));
      const isOurs = only?.metadata.labels?.[MANAGED_BY_LABEL] === FIELD_MANAGER && this.#path(only) === path;
      if (isOurs && others.length === 0) own.push(name);
    }
    return own;
  }

  #path({ metadata }: ServiceEntry): string {
    return join(this.#directory, `${metadata.namespace}.${metadata.name}.yaml`); // a namespace has no dot
  }

  async #create(entry: ServiceEntry): Promise<void> {
    const temporary = await this.#writeTemporary(entry);
    try {
      await link(temporary, this.#path(entry)); // unlike a rename, it does not replace what is there
    } catch (err) {
      if (errorCodeOf(err) === 'EEXIST') throw foreignFile(this.#path(entry));
      throw err;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #update({ entry, current }: PlannedUpdate): Promise<void> {
    await this.#checkFile(current);
    await rename(await this.#writeTemporary(entry), this.#path(entry));
  }

  async #delete(current: ServiceEntry): Promise<void> {
    await this.#checkFile(current);
    await rm(this.#path(current));
  }

  /** @throws ReconcilerError when the file is not, or not any more, this entry and nothing else */
  async #checkFile(current: ServiceEntry): Promise<void> {
    const path = this.#path(current);
    const [only, ...others] = readEntries(await readFile(path, 'utf8'));
    const isIt = others.length === 0 && isDeepStrictEqual(only, current);
    if (!isIt) throw foreignFile(path);
  }

  /** Whole, and on the disk, before it gets its name. */
  async #writeTemporary(entry: ServiceEntry): Promise<string> {
    const temporary = `${this.#path(entry)}.${process.pid}.tmp`;
    await writeFile(temporary, sealOf(entry.spec) + formatServiceEntry(entry), { flush: true });
    return temporary;
  }
}

/** What is no YAML, or no ServiceEntry, is somebody else's and passed over. */
function readEntries(text: string): ServiceEntry[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const value: unknown = document.errors.length > 0 ? undefined : document.toJS();
    const entry = readServiceEntry(value);
    return entry === undefined ? [] : withEditor(entry, text);
  });
}
