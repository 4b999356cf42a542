import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { formatServiceEntry } from '../istio/format-yaml.js';
import { readServiceEntry, type ServiceEntry } from '../istio/service-entry.js';
import type { ServiceEntryPlan } from '../plan/service-entry-plan.js';
import type { ServiceEntrySink, SinkFailure, SinkResult, SinkState } from './sink.js';

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
    const carryOut = async (entries: readonly ServiceEntry[], write: (entry: ServiceEntry) => Promise<void>) => {
      const done: ServiceEntry[] = [];
      for (const entry of entries) {
        try {
          await write(entry);
          done.push(entry);
        } catch (err) {
          failures.push(toFailure(entry, err));
        }
      }
      return done;
    };
    const write = async (entry: ServiceEntry): Promise<void> => this.#write(entry);
    const created = await carryOut(
      plan.create.map(({ entry }) => entry),
      write,
    );
    const updated = await carryOut(
      plan.update.map(({ entry }) => entry),
      write,
    );
    const deleted = await carryOut(
      plan.delete.map(({ current }) => current),
      async (entry) => rm(this.#path(entry)),
    );
    return { created, updated, deleted, failures };
  }

  #path({ metadata }: ServiceEntry): string {
    return join(this.#directory, `${metadata.namespace}.${metadata.name}.yaml`); // a namespace has no dot
  }

  async #write(entry: ServiceEntry): Promise<void> {
    const path = this.#path(entry);
    const temporary = `${path}.${process.pid}.tmp`;
    await writeFile(temporary, formatServiceEntry(entry));
    await rename(temporary, path);
  }
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

function toFailure({ metadata, spec }: ServiceEntry, err: unknown): SinkFailure {
  const code = err instanceof Error && 'code' in err ? String(err.code) : 'UNKNOWN';
  const message = err instanceof Error ? err.message : String(err);
  return { namespace: metadata.namespace, name: metadata.name, host: spec.hosts[0] ?? '', code, message };
}
