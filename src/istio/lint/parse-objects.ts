import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, type Document } from 'yaml';
import type { FindingPath } from '../validation/finding.js';
import { isRecord } from '../validation/schema.js';

/** Where something stands in a text; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** An object of a file, and where its parts stand. */
export interface ParsedObject {
  readonly value: Readonly<Record<string, unknown>>;
  /** Position of what a path leads to, or of the nearest thing above it that is there. */
  readonly locate: (path: FindingPath) => Position;
}

export interface ParseFault extends Position {
  readonly message: string;
}

export interface ParsedText {
  readonly objects: readonly ParsedObject[];
  readonly faults: readonly ParseFault[];
}

/**
 * Parses YAML (also JSON) of any number of documents, and takes lists apart.
 *
 * Read as kubectl reads it: by YAML 1.1, in which an unquoted `no` is a boolean, but without dates and times of day. A
 * document with a fault costs that document only.
 */
export function parseObjects(text: string): ParsedText {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: '1.1',
    lineCounter: lines,
    customTags: (tags) => tags.filter((tag) => typeof tag !== 'object' || !isTimeTag(tag)),
  });
  const objects: ParsedObject[] = [];
  const faults: ParseFault[] = [];
  for (const document of documents) {
    const [error] = document.errors;
    if (error !== undefined) {
      faults.push({ ...positionAt(lines, error.pos[0]), message: messageOf(error) });
      continue;
    }
    const locate = (path: FindingPath): Position => positionAt(lines, offsetOf(document, path));
    const value = toValue(document);
    if (value instanceof ParseError) faults.push({ ...locate([]), message: value.message });
    else if (isRecord(value)) objects.push(...itemsOf({ value, locate }));
    else if (value !== null && value !== undefined)
      faults.push({ ...locate([]), message: 'the document is no object' });
    // What is left is nothing, or only comments.
  }
  return { objects, faults };
}

/** Without the place and the excerpt that the parser adds. */
function messageOf(error: Error): string {
  return error.message.replace(/ at line \d+, column \d+:[^]*$/, '');
}

/** `!!timestamp`, and numbers such as `12:30`. */
function isTimeTag(tag: { readonly tag: string; readonly format?: string }): boolean {
  return tag.tag === 'tag:yaml.org,2002:timestamp' || tag.format === 'TIME';
}

/** A document without a value. */
class ParseError extends Error {}

function toValue(document: Document): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    return new ParseError('its aliases unfold into far more than there is', { cause });
  }
}

/** The items of a `List` or a `ServiceEntryList`; whatever else an object is, itself. */
function itemsOf(object: ParsedObject): readonly ParsedObject[] {
  const { value, locate } = object;
  const { kind, items, apiVersion } = value;
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return [object];
  // In a list of one kind the items need not repeat it.
  const type = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) };
  return items.flatMap((item: unknown, index) =>
    isRecord(item)
      ? [{ value: { ...type, ...item }, locate: (path: FindingPath) => locate(['items', index, ...path]) }]
      : [],
  );
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

/** Offset of the last key or item on the path that is there. */
function offsetOf(document: Document, path: FindingPath): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? document.range?.[0] ?? 0;
  for (const step of path) {
    const child = childOf(isAlias(node) ? node.resolve(document) : node, step);
    if (child === undefined) break;
    offset = startOf(isPair(child) ? child.key : child) ?? offset;
    node = isPair(child) ? child.value : child;
  }
  return offset;
}

/** The pair of a key, or the item of an index. */
function childOf(node: unknown, step: string | number): unknown {
  if (isMap(node)) return node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
  return isSeq(node) && typeof step === 'number' ? node.items[step] : undefined;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
