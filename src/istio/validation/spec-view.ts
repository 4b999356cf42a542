import type { FindingPath } from './finding.js';
import { isRecord } from './schema.js';

/** A value and where it stands. */
export interface Placed<T> {
  readonly value: T;
  readonly path: FindingPath;
}

export interface PortView {
  readonly path: FindingPath;
  readonly name: string | undefined;
  readonly number: number | undefined;
  readonly targetPort: number | undefined;
  /** Empty where it is unset: Istio sniffs. */
  readonly protocol: string;
}

export interface EndpointView {
  readonly path: FindingPath;
  /** Empty where it is unset. */
  readonly address: string;
  readonly network: string;
  readonly ports: readonly Placed<readonly [name: string, number: number | undefined]>[];
  readonly hasPorts: boolean;
  readonly labels: readonly Placed<readonly [key: string, value: string]>[];
}

/**
 * What of a ServiceEntry has the right type, with defaults filled in, so that one mistake hides no other. The schema
 * reports the rest.
 */
export interface SpecView {
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly hosts: readonly Placed<string>[];
  readonly addresses: readonly Placed<string>[];
  readonly exportTo: readonly Placed<string>[];
  readonly ports: readonly PortView[];
  readonly resolution: string;
  readonly location: string;
  /** Undefined where the field is absent; an empty list is there. */
  readonly endpoints: readonly EndpointView[] | undefined;
  readonly selector: readonly Placed<readonly [key: string, value: string]>[] | undefined;
}

export function viewSpec(object: Readonly<Record<string, unknown>>): SpecView {
  const spec = recordOf(object['spec']);
  const metadata = recordOf(object['metadata']);
  const { resolution, location, endpoints, workloadSelector: selector } = spec;
  return {
    namespace: textOf(metadata['namespace']) ?? '',
    labels: new Map(placedPairs(metadata['labels'], []).map(({ value }) => value)),
    hosts: placedTexts(spec['hosts'], ['spec', 'hosts']),
    addresses: placedTexts(spec['addresses'], ['spec', 'addresses']),
    exportTo: placedTexts(spec['exportTo'], ['spec', 'exportTo']),
    ports: placedRecords(spec['ports'], ['spec', 'ports']).map(viewPort),
    resolution: textOf(resolution) ?? 'NONE',
    location: textOf(location) ?? 'MESH_EXTERNAL',
    endpoints: endpoints === undefined ? undefined : placedRecords(endpoints, ['spec', 'endpoints']).map(viewEndpoint),
    selector: isRecord(selector) ? placedPairs(selector['labels'], ['spec', 'workloadSelector', 'labels']) : undefined,
  };
}

function viewPort({ value, path }: Placed<Readonly<Record<string, unknown>>>): PortView {
  return {
    path,
    name: textOf(value['name']),
    number: numberOf(value['number']),
    targetPort: numberOf(value['targetPort']),
    protocol: textOf(value['protocol']) ?? '',
  };
}

function viewEndpoint({ value, path }: Placed<Readonly<Record<string, unknown>>>): EndpointView {
  return {
    path,
    address: textOf(value['address']) ?? '',
    network: textOf(value['network']) ?? '',
    ports: Object.entries(recordOf(value['ports'])).map(([name, number]) => ({
      value: [name, numberOf(number)],
      path: [...path, 'ports', name],
    })),
    hasPorts: value['ports'] !== undefined,
    labels: placedPairs(value['labels'], [...path, 'labels']),
  };
}

function placedPairs(value: unknown, path: FindingPath): readonly Placed<readonly [key: string, value: string]>[] {
  return Object.entries(recordOf(value)).flatMap(([key, item]) =>
    typeof item === 'string' ? [{ value: [key, item] as const, path: [...path, key] }] : [],
  );
}

function placedTexts(value: unknown, path: FindingPath): readonly Placed<string>[] {
  return placed(value, path).flatMap(({ value: item, path: where }) =>
    typeof item === 'string' ? [{ value: item, path: where }] : [],
  );
}

function placedRecords(value: unknown, path: FindingPath): readonly Placed<Readonly<Record<string, unknown>>>[] {
  return placed(value, path).flatMap(({ value: item, path: where }) =>
    isRecord(item) ? [{ value: item, path: where }] : [],
  );
}

function placed(value: unknown, path: FindingPath): readonly Placed<unknown>[] {
  return Array.isArray(value) ? value.map((item: unknown, index) => ({ value: item, path: [...path, index] })) : [];
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
