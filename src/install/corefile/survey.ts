import type { CorefileLineRefusal } from './corefile-line.js';
import { type Corefile, type CorefileProblem, parseCorefile, type ServerBlock } from './parser.js';
import { internalZonesOf, purposeOf } from './served-zones.js';

/** What is known of the CoreDNS that reads a Corefile. */
export interface CorefileContext {
  /** `unix:///path` or `tcp://address:port`. */
  readonly endpoint: string;
  /** Version of CoreDNS. Unknown: taken for one with every fault. */
  readonly version?: string;
  /** Of the cluster. @defaultValue `cluster.local`, beside the zones of the `kubernetes` plugins */
  readonly clusterDomain?: string;
  /** Contents of the files that it imports, by the path that the import names. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Directories of which all files are given, as an import names them. */
  readonly directories?: readonly string[];
  /** What is known of CoreDNS's environment. */
  readonly environment?: ReadonlyMap<string, string>;
}

/**
 * Why a Corefile gets no tap, beside what is wrong with the endpoint or the version.
 *
 * - `corefile-unreadable`: braces or imports do not add up; `problem` says where.
 * - `no-external-block`: no server block in the file itself can answer for an external name.
 * - `key-unreadable`: a key of a server block is one that CoreDNS refuses, or takes for another zone than it looks.
 * - `second-tap`: somebody else's tap is there, and before 1.10.1 only the first of a server block works.
 * - `duplicate-tap`: two taps with our endpoint in a server block; every query would come twice.
 * - `tap-in-import`: a tap with our endpoint is in an imported file, and does not do what it should.
 * - `no-place`: nowhere in the block can a line be inserted without tearing another.
 * - `self-check`: the result was read again and was not what it should be. A fault of this program; nothing is changed.
 */
export type InsertRefusal =
  | CorefileLineRefusal
  | 'corefile-unreadable'
  | 'duplicate-tap'
  | 'key-unreadable'
  | 'no-external-block'
  | 'no-place'
  | 'second-tap'
  | 'self-check'
  | 'tap-in-import';

/** A refusal with where it is. */
export interface Refused {
  readonly refused: InsertRefusal;
  /** Line of the Corefile, from 1. */
  readonly line?: number;
  readonly problem?: CorefileProblem;
}

/** What kubeadm and everybody else names it unless told otherwise. */
export const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';

/** What a Corefile has that matters here. */
export interface Survey {
  readonly corefile: Corefile;
  /** The server blocks of the file itself that answer for external names. */
  readonly external: readonly ServerBlock[];
  /** Those of the files that it imports. */
  readonly imported: readonly ServerBlock[];
}

/** Reads a Corefile and finds the server blocks to tap. */
export function surveyCorefile(
  bytes: Buffer,
  options: Omit<CorefileContext, 'endpoint' | 'version'>,
): Survey | Refused {
  const corefile = parseCorefile(bytes, options);
  if ('problem' in corefile) {
    return { refused: 'corefile-unreadable', line: corefile.problem.line, problem: corefile.problem };
  }
  const internalZones = internalZonesOf(corefile.blocks, options.clusterDomain ?? DEFAULT_CLUSTER_DOMAIN);
  const external: ServerBlock[] = [];
  for (const block of corefile.blocks) {
    // CoreDNS refuses what it is asked for in a block without plugins; a tap in there would make that a failure.
    if (block.directives.length === 0 && block.unknownImports.length === 0) continue;
    const purpose = purposeOf(block, internalZones);
    if (purpose === 'unreadable') return { refused: 'key-unreadable', ...lineOf(block) };
    if (purpose === 'external') external.push(block);
  }
  const own = external.filter((block) => !isImported(block));
  if (own.length === 0) return { refused: 'no-external-block' };
  return { corefile, external: own, imported: external.filter(isImported) };
}

function isImported({ keys, open }: ServerBlock): boolean {
  return open?.file !== undefined || keys.some(({ token }) => token.file !== undefined);
}

/** Where a block begins, for a refusal. */
export function lineOf(block: ServerBlock): { readonly line?: number } {
  const line = block.keys[0]?.token.line;
  return line === undefined ? {} : { line };
}
