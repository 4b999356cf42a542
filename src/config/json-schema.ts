import { z } from 'zod';
import { chartValuesSchema } from './chart-values.js';
import { configurationSchema } from './schema.js';

/** A JSON Schema, or a part of one, as far as it is read here. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly [keyword: string]: unknown;
}

/** JSON Schema draft-7 of the configuration file. */
export function configurationJsonSchema(): JsonSchema {
  return toJsonSchema(configurationSchema);
}

/** JSON Schema draft-7 of the chart's values: Helm's `values.schema.json`. */
export function chartValuesJsonSchema(): JsonSchema {
  return toJsonSchema(chartValuesSchema);
}

// What settings carry in their metadata for the command line says nothing to a JSON Schema; draft-7 has no such formats.
const FOREIGN_KEYWORDS = ['flag', 'short', 'argument', 'secret', 'allowed'];
const DRAFT_7_FORMATS: readonly unknown[] = ['ipv4', 'ipv6', 'uri', 'hostname'];
const LENGTH_LOOKAHEAD = /^\^\(\?=\.\{(\d+),(\d+)\}\$\)/; // ^(?=.{1,253}$)

function toJsonSchema(schema: z.ZodType): JsonSchema {
  const converted = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema }) => {
      for (const keyword of FOREIGN_KEYWORDS) delete jsonSchema[keyword];
      if (!DRAFT_7_FORMATS.includes(jsonSchema.format)) delete jsonSchema.format;
      if (isEmptyObject(jsonSchema.default) && jsonSchema.properties !== undefined) delete jsonSchema.default;
      withoutLookahead(jsonSchema);
    },
  });
  return converted as JsonSchema; // zod's own type of the same thing has every keyword; see JsonSchema
}

/** Helm compiles patterns with Go's regexp, which has no lookahead and then refuses the whole chart. */
function withoutLookahead(schema: { pattern?: string; minLength?: number; maxLength?: number }): void {
  const match = LENGTH_LOOKAHEAD.exec(schema.pattern ?? '');
  if (match === null || schema.pattern === undefined) return;
  schema.pattern = `^${schema.pattern.slice(match[0].length)}`;
  schema.minLength = Number(match[1]);
  schema.maxLength = Number(match[2]);
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
