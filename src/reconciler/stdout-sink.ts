import { formatServiceEntry } from '../istio/format-yaml.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import type { ServiceEntryPlan } from '../plan/service-entry-plan.js';
import type { ServiceEntrySink, SinkResult, SinkState } from './sink.js';

/**
 * Prints every entry that there should be as one YAML stream, for `kubectl apply -f -` or a file in a repository. With a
 * cluster to look at, entries of others there are respected; nothing is written to it.
 */
export class StdoutSink implements ServiceEntrySink {
  readonly #stdout: NodeJS.WritableStream;
  readonly #cluster: Pick<ServiceEntrySink, 'read'> | undefined;

  constructor(stdout: NodeJS.WritableStream, cluster?: Pick<ServiceEntrySink, 'read'>) {
    this.#stdout = stdout;
    this.#cluster = cluster;
  }

  async read(signal: AbortSignal): Promise<SinkState> {
    return (await this.#cluster?.read(signal)) ?? { entries: [] };
  }

  async apply(plan: ServiceEntryPlan): Promise<SinkResult> {
    const entries: readonly ServiceEntry[] = [
      ...plan.create.map(({ entry }) => entry),
      ...plan.update.map(({ entry }) => entry),
      ...plan.keep.map(({ current }) => current),
    ].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    this.#stdout.write(entries.map((entry) => `---\n${formatServiceEntry(entry)}`).join(''));
    return { created: [], updated: [], deleted: [], failures: [] };
  }
}

function keyOf({ metadata }: ServiceEntry): string {
  return `${metadata.namespace}/${metadata.name}`;
}
