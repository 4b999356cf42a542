import { type CoreDnsVersion, isBefore } from './coredns-version.js';
import type { CorefileToken } from './lexer.js';
import type { MarkedRegion } from './markers.js';
import type { CorefileDirective, ServerBlock } from './parser.js';

/** A `dnstap` directive of a server block. */
export interface Tap {
  readonly directive: CorefileDirective;
  /** Its endpoint in one way of writing: `/path` and `unix:///path` are the same. */
  readonly endpoint: string;
  /** Whether messages come with it; without, there is no name in them. */
  readonly isFull: boolean;
  /** CoreDNS waits for connections instead of making one (1.14.4). */
  readonly isListening: boolean;
  /** Between our markers. */
  readonly isMarked: boolean;
}

export interface TapContext {
  readonly version: CoreDnsVersion | undefined;
  readonly regions: readonly MarkedRegion[];
}

const FIRST_WITH_MORE_ARGUMENTS: CoreDnsVersion = [1, 11, 4];
const FIRST_WITH_LISTEN: CoreDnsVersion = [1, 14, 4];

/** The taps of a server block, those of its imports included, in the order of the file. */
export function tapsOf(block: ServerBlock, context: TapContext): readonly Tap[] {
  return block.directives.filter(({ name }) => name.text === 'dnstap').map((directive) => readTap(directive, context));
}

/** `dnstap` lines that CoreDNS reads as something else: inside the block of another plugin, which may ignore them. */
export function misplacedTapsOf(block: ServerBlock): readonly CorefileToken[] {
  return block.directives.flatMap(({ tokens }) =>
    tokens.filter((token, index) => {
      const before = tokens[index - 1];
      return token.text === 'dnstap' && before !== undefined && before.lastLine < token.line;
    }),
  );
}

/** `/path` for a unix socket, else as it is written. */
export function normaliseEndpoint(endpoint: string): string {
  return endpoint.replace(/^unix:\/\//, '');
}

function readTap(directive: CorefileDirective, { version, regions }: TapContext): Tap {
  const words = argumentsOf(directive);
  const isListening = words[0] === 'listen' && !(version !== undefined && isBefore(version, FIRST_WITH_LISTEN));
  const [endpoint = '', second, third] = isListening ? words.slice(1) : words;
  const takesMore = version !== undefined && !isBefore(version, FIRST_WITH_MORE_ARGUMENTS);
  return {
    directive,
    endpoint: normaliseEndpoint(endpoint),
    isFull: second === 'full' && (third === undefined || takesMore),
    isListening,
    isMarked: regions.some(({ tapsStart, tapsEnd }) => {
      const { file, start } = directive.name;
      return file === undefined && start >= tapsStart && start < tapsEnd;
    }),
  };
}

function argumentsOf({ tokens }: CorefileDirective): readonly string[] {
  const end = tokens.findIndex((token, index) => {
    const before = tokens[index - 1];
    return token.text === '{' || (before !== undefined && before.lastLine < token.line);
  });
  return tokens.slice(1, end < 0 ? undefined : end).map(({ text }) => text);
}
