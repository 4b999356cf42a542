import type { JsonSchema } from './json-schema.js';

/** A Markdown page with a table for each section of a JSON Schema: every key with its default, what is allowed, its description. */
export function formatValuesReference(schema: JsonSchema, heading: string): string {
  const sections = Object.entries(schema.properties ?? {}).map(([key, section]) => formatSection(key, section));
  return [`# Values of the chart`, heading, ...sections].join('\n\n');
}

function formatSection(key: string, schema: JsonSchema): string {
  const rows = leavesOf(key, schema).map(([path, leaf]) =>
    row([code(path), defaultOf(leaf), allowedBy(leaf), leaf.description ?? '']),
  );
  const intro = schema.properties !== undefined && schema.description !== undefined ? [schema.description] : [];
  return [
    `## ${key}`,
    ...intro,
    [row(['Value', 'Default', 'Allowed', 'Meaning']), row(['---', '---', '---', '---']), ...rows].join('\n'),
  ].join('\n\n');
}

function leavesOf(path: string, schema: JsonSchema): readonly (readonly [string, JsonSchema])[] {
  if (schema.properties === undefined) return [[path, schema]];
  return Object.entries(schema.properties).flatMap(([key, inner]) => leavesOf(`${path}.${key}`, inner));
}

function defaultOf({ default: value }: JsonSchema): string {
  return value === undefined ? '' : code(JSON.stringify(value));
}

function allowedBy({ type, enum: values, items, minimum, maximum, additionalProperties }: JsonSchema): string {
  if (Array.isArray(values)) return values.map((value) => code(String(value))).join(', ');
  if (typeof minimum === 'number' && typeof maximum === 'number') return `${minimum} to ${maximum}`;
  if (type === 'array') return `list of ${nameOf((items as JsonSchema | undefined)?.type)}`;
  if (type === 'object' && additionalProperties !== false) return 'map';
  return nameOf(type);
}

function nameOf(type: string | undefined): string {
  const names: Readonly<Record<string, string>> = {
    string: 'text',
    object: 'objects',
    boolean: '`true`, `false`',
    integer: 'whole number',
  };
  return names[type ?? 'string'] ?? String(type);
}

const code = (text: string): string => `\`${text}\``;
const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
