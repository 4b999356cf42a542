import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { formatServiceEntry } from '../istio/format-yaml.js';
import { readServiceEntry, type ServiceEntry } from '../istio/service-entry.js';
import type { PlannedUpdate, ServiceEntryPlan } from '../plan/service-entry-plan.js';
import { ReconcilerError } from './reconciler-error.js';
import {
  errorCodeOf,
  toFailure,
  type ServiceEntrySink,
  type SinkFailure,
  type SinkResult,
  type SinkState,
} from './sink.js';

const YAML_FILE = /\.ya?ml$/;

/**
 * Writes `<namespace>.<name>.yaml` files, one object each, for `kubectl apply -f DIRECTORY`. Files that this program did
 * not write stay as they are; ServiceEntries in them count as others'.
 */
export class DirectorySink implements ServiceEntrySink {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async read(): Promise<SinkState> {
    await mkdir(this.#directory, { recursive: true });
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
    return {
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
    await writeFile(temporary, formatServiceEntry(entry), { flush: true });
    return temporary;
  }
}

function foreignFile(path: string): ReconcilerError {
  return new ReconcilerError('RECONCILER_ERR_FOREIGN_FILE', `${path} holds something else`);
}

/** What is no YAML, or no ServiceEntry, is somebody else's and passed over. */
function readEntries(text: string): ServiceEntry[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const value: unknown = document.errors.length > 0 ? undefined : document.toJS();
    return readServiceEntry(value) ?? [];
  });
}
