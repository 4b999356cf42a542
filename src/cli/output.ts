import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Option } from 'commander';
import { stringify } from 'yaml';
import { formatTable, tableLine, tableWidths } from './table.js';

export const OUTPUT_FORMATS = ['table', 'json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** `-o`, as kubectl calls it. */
export function outputOption(choices: readonly OutputFormat[] = OUTPUT_FORMATS): Option {
  return new Option('-o, --format <FORMAT>', 'how to print').choices(choices).default('table');
}

/** Rows that tell how wide a table's columns are; what comes later and is wider sticks out. */
const MEASURED_ROWS = 500;

/** Bytes that go out in one write. */
const CHUNK_CHARACTERS = 65_536;

/** How things of one kind are printed. */
export interface Listing<T> {
  readonly header: readonly string[];
  readonly toRow: (item: T) => readonly string[];
  readonly nameOf: (item: T) => string;
  /** What JSON and YAML show of it. */
  readonly toView: (item: T) => unknown;
  /** The table when there is nothing. */
  readonly empty: string;
}

/** Things as text, in pieces, without ever holding them all. JSON and YAML are one list. */
export function formatListing<T>(
  items: AsyncIterable<T>,
  format: OutputFormat,
  listing: Listing<T>,
): AsyncIterable<string> {
  return format === 'table' ? formatTableRows(items, listing) : formatDocument(items, format, listing);
}

async function* formatDocument<T>(
  items: AsyncIterable<T>,
  format: OutputFormat,
  listing: Listing<T>,
): AsyncGenerator<string> {
  let count = 0;
  for await (const item of items) {
    if (format === 'name') yield `${listing.nameOf(item)}\n`;
    else if (format === 'yaml') yield stringify([listing.toView(item)], { compat: 'yaml-1.1', lineWidth: 0 });
    else yield `${count === 0 ? '[\n' : ',\n'}${indent(JSON.stringify(listing.toView(item), undefined, 2))}`;
    count += 1;
  }
  if (format === 'json') yield count === 0 ? '[]\n' : '\n]\n';
  if (format === 'yaml' && count === 0) yield '[]\n';
}

const indent = (text: string): string => `  ${text.replaceAll('\n', '\n  ')}`;

async function* formatTableRows<T>(items: AsyncIterable<T>, listing: Listing<T>): AsyncGenerator<string> {
  let widths: readonly number[] | undefined;
  const first: (readonly string[])[] = [];
  for await (const item of items) {
    const row = listing.toRow(item);
    if (widths !== undefined) {
      yield tableLine(widths, row);
      continue;
    }
    first.push(row);
    if (first.length < MEASURED_ROWS) continue;
    widths = tableWidths(listing.header, first);
    yield formatTable(listing.header, first);
  }
  if (widths === undefined) yield first.length === 0 ? listing.empty : formatTable(listing.header, first);
}

/**
 * Writes pieces as fast as they are read, in larger ones unless they are live. A reader that goes away, such as `head`, is
 * no failure.
 */
export async function writePieces(
  pieces: AsyncIterable<string>,
  stream: NodeJS.WritableStream,
  { isLive = false }: { readonly isLive?: boolean } = {},
): Promise<void> {
  try {
    await pipeline(Readable.from(isLive ? pieces : inChunks(pieces)), stream, { end: false });
  } catch (err) {
    if ((err as { code?: unknown }).code !== 'EPIPE') throw err; // what streams throw are errors with a code
  }
}

async function* inChunks(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let text = '';
  for await (const piece of pieces) {
    text += piece;
    if (text.length < CHUNK_CHARACTERS) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}
