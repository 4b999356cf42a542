import { type CoreDnsVersion, isBefore, parseCoreDnsVersion } from './coredns-version.js';
import { markedRegions } from './markers.js';
import type { ServerBlock } from './parser.js';
import { type CorefileContext, type Refused, surveyCorefile } from './survey.js';
import { misplacedTapsOf, normaliseEndpoint, type Tap, tapsOf } from './taps.js';

/**
 * What is wrong or to be known with a Corefile.
 *
 * - `tap-absent`: a server block for external names has no tap with the endpoint.
 * - `tap-not-full`: a tap without `full`, or with what switches it off in this version: its messages hold no names.
 * - `tap-twice`: two taps with the endpoint in a server block; every query comes twice.
 * - `tap-listening`: a tap that waits for connections; a slow client of it can block DNS.
 * - `tap-misplaced`: a `dnstap` line inside the block of another plugin, where CoreDNS may pass it over in silence.
 * - `second-tap`: more than one tap in a server block, and before 1.10.1 only the first works.
 * - `other-tap`: a tap with another endpoint; it does no harm.
 * - `no-reload`: CoreDNS reads a change only when its pods are restarted.
 * - `import-unknown`: the content of an import is not known.
 * - `block-in-import`: a server block for external names in an imported file, which is not changed.
 */
export type CorefileFindingCode =
  | 'block-in-import'
  | 'import-unknown'
  | 'no-reload'
  | 'other-tap'
  | 'second-tap'
  | 'tap-absent'
  | 'tap-listening'
  | 'tap-misplaced'
  | 'tap-not-full'
  | 'tap-twice';

export interface CorefileFinding {
  readonly code: CorefileFindingCode;
  /** Line from 1, in the imported file if it is in one. */
  readonly line?: number;
  readonly file?: string;
  /** The endpoint, the key or the import that it is about. */
  readonly subject?: string;
}

/** A server block for external names, and its taps. */
export interface CheckedBlock {
  readonly keys: readonly string[];
  readonly line: number;
  readonly taps: readonly { readonly endpoint: string; readonly full: boolean; readonly ours: boolean }[];
}

export interface CorefileCheck {
  readonly blocks: readonly CheckedBlock[];
  readonly findings: readonly CorefileFinding[];
}

export interface CheckOptions extends Omit<CorefileContext, 'endpoint'> {
  /** Without, taps are listed and none is missed. */
  readonly endpoint?: string;
}

/** Findings that mean that names are not seen, are seen twice, or that DNS is in danger. */
const FAULTS: ReadonlySet<CorefileFindingCode> = new Set([
  'second-tap',
  'tap-absent',
  'tap-listening',
  'tap-misplaced',
  'tap-not-full',
  'tap-twice',
]);

const FIRST_WITH_SEVERAL: CoreDnsVersion = [1, 10, 1];

export function isFault({ code }: CorefileFinding): boolean {
  return FAULTS.has(code);
}

/** Looks at the taps of a Corefile; changes nothing. */
export function checkCorefile(corefile: string | Uint8Array, options: CheckOptions): CorefileCheck | Refused {
  const bytes = Buffer.from(corefile);
  const survey = surveyCorefile(bytes, options);
  if ('refused' in survey) return survey;
  const version = options.version === undefined ? undefined : parseCoreDnsVersion(options.version);
  const context = { version, regions: markedRegions(bytes, survey.corefile.comments) };
  const checked = survey.external.map((block) => ({ block, taps: tapsOf(block, context) }));
  const findings = [
    ...checked.flatMap(({ block, taps }) => findingsOfBlock(block, taps, { ...options, version })),
    ...survey.corefile.blocks.flatMap((block) =>
      misplacedTapsOf(block).map((token) => finding('tap-misplaced', token)),
    ),
    ...survey.corefile.unknownImports.map((subject): CorefileFinding => ({ code: 'import-unknown', subject })),
    ...survey.imported.flatMap(({ keys: [key] }) => (key ? [finding('block-in-import', key.token, key.text)] : [])),
  ];
  const hasReload = survey.corefile.blocks.some((block) => block.directives.some(({ name }) => name.text === 'reload'));
  return {
    blocks: checked.map(({ block, taps }) => ({
      keys: block.keys.map(({ token }) => token.text),
      line: block.keys[0]?.token.line ?? 1,
      taps: taps.map(({ endpoint, isFull, isMarked }) => ({ endpoint, full: isFull, ours: isMarked })),
    })),
    findings: hasReload ? findings : [...findings, { code: 'no-reload' }],
  };
}

interface BlockContext {
  readonly endpoint?: string;
  readonly version: CoreDnsVersion | undefined;
}

function findingsOfBlock(
  { keys: [key] }: ServerBlock,
  taps: readonly Tap[],
  { endpoint, version }: BlockContext,
): readonly CorefileFinding[] {
  const wanted = endpoint === undefined ? undefined : normaliseEndpoint(endpoint);
  const ours = taps.filter((tap) => tap.endpoint === wanted && !tap.isListening);
  const worksWithOthers = version !== undefined && !isBefore(version, FIRST_WITH_SEVERAL);
  const of = (code: CorefileFindingCode, tap: Tap): CorefileFinding => finding(code, tap.directive.name, tap.endpoint);
  return [
    ...(wanted !== undefined && ours.length === 0 && key ? [finding('tap-absent', key.token, key.text)] : []),
    ...ours.slice(1).map((tap) => of('tap-twice', tap)),
    ...taps.filter(({ isListening }) => isListening).map((tap) => of('tap-listening', tap)),
    ...taps.filter(({ isFull }) => !isFull).map((tap) => of('tap-not-full', tap)),
    ...taps.slice(1).flatMap((tap) => (worksWithOthers ? [] : [of('second-tap', tap)])),
    ...taps.filter((tap) => wanted !== undefined && !ours.includes(tap)).map((tap) => of('other-tap', tap)),
  ];
}

function finding(
  code: CorefileFindingCode,
  { line, file }: { readonly line: number; readonly file?: string },
  subject?: string,
): CorefileFinding {
  return { code, line, ...(file !== undefined && { file }), ...(subject !== undefined && { subject }) };
}
