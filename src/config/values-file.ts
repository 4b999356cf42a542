import { Document, isMap, isPair, type Node, type YAMLMap } from 'yaml';
import type { JsonSchema } from './json-schema.js';

const COMMENT_COLUMNS = 100;

/**
 * A YAML file that holds every key of a JSON Schema with its default, under its description as a comment. Text that
 * YAML 1.1 takes for something else is quoted.
 */
export function formatValuesFile(schema: JsonSchema, heading: string): string {
  const document = new Document(defaultsOf(schema), { compat: 'yaml-1.1', aliasDuplicateObjects: false });
  document.commentBefore = comment(heading);
  if (isMap(document.contents)) annotate(document.contents, schema, 0);
  return document.toString({ lineWidth: 0, singleQuote: true });
}

function defaultsOf({ properties, default: value }: JsonSchema): unknown {
  if (properties === undefined) return value;
  return Object.fromEntries(Object.entries(properties).map(([key, schema]) => [key, defaultsOf(schema)]));
}

function annotate(map: YAMLMap, { properties = {} }: JsonSchema, depth: number): void {
  for (const [index, pair] of map.items.entries()) {
    if (!isPair(pair)) continue;
    const key = pair.key as Node & { value: string }; // Document made the map from an object
    const schema = properties[key.value];
    if (schema === undefined) continue;
    if (schema.description !== undefined) key.commentBefore = comment(schema.description);
    if (depth === 0 && index > 0) key.spaceBefore = true;
    if (schema.properties !== undefined && isMap(pair.value)) annotate(pair.value, schema, depth + 1);
  }
}

/** Breaks text into lines, with the blank that `#` is followed by. */
function comment(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < COMMENT_COLUMNS) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(` ${word}`);
  }
  return lines.join('\n');
}
