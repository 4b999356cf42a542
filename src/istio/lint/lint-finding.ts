import type { FindingCode, FindingSource, Severity } from '../validation/finding.js';
import { isRecord } from '../validation/schema.js';
import type { ParsedObject, Position } from './parse-objects.js';

/**
 * What is wrong between entries although each is right.
 *
 * - `host-twice`: two entries of one namespace have the same host, differ in their ports and cannot be merged, so one of
 *   them gets listeners without a cluster, even under ALLOW_ANY.
 * - `protocol-differs`: entries that the same clients see give one port of one host different protocols (IST0177).
 */
export type ConflictCode = 'host-twice' | 'protocol-differs';

/** What lint finds beside the findings of the validation. */
export type LintCode = FindingCode | ConflictCode | 'syntax';

export interface LintFinding extends Position {
  readonly file: string;
  readonly severity: Severity;
  readonly code: LintCode;
  readonly source: FindingSource;
  /** `namespace/name`; empty where there is no object. */
  readonly object: string;
  /** Such as `spec.ports[1].name`. */
  readonly path: string;
  readonly message: string;
}

/** A ServiceEntry and where it stands. */
export interface LintedEntry extends ParsedObject {
  readonly file: string;
}

/** @internal `namespace/name`, as far as they are there. */
export function nameOf({ value }: ParsedObject): string {
  const metadata = isRecord(value['metadata']) ? value['metadata'] : {};
  const { namespace, name } = metadata;
  return [namespace, name].filter((part) => typeof part === 'string' && part !== '').join('/');
}
