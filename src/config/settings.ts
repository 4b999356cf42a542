import type { z } from 'zod';
import { configurationSchema, type SectionName, type SettingMeta } from './schema.js';

export type SettingType = 'string' | 'number' | 'boolean' | 'list';

/** One leaf of the schema, with its name in every place where it can be set. */
export interface Setting {
  readonly section: SectionName;
  readonly key: string;
  /** `dnstap.maxConnections`, as in the file. */
  readonly path: string;
  /** `dnstap-max-connections`, without the dashes in front. */
  readonly flag: string;
  readonly short: string | undefined;
  /** `ISTIO_DISCOVERY_DNSTAP_MAX_CONNECTIONS`. */
  readonly environment: string;
  readonly argument: string;
  readonly description: string;
  readonly type: SettingType;
  readonly defaultValue: unknown;
  /** What is allowed, in words. */
  readonly allowed: string;
  readonly secret: boolean;
}

export const ENVIRONMENT_PREFIX = 'ISTIO_DISCOVERY_';

/** Every setting, in the order of the schema. */
export const SETTINGS: readonly Setting[] = Object.entries(configurationSchema.shape).flatMap(([section, schema]) =>
  // The keys of the shape are the section names by definition.
  Object.entries(unwrap(schema).shape ?? {}).map(([key, leaf]) => toSetting(section as SectionName, key, leaf)),
);

/** The parts of a zod schema's definition that are read here; zod keeps them stable for library authors. */
interface Definition {
  readonly type: string;
  readonly innerType?: Schema;
  /** The side of a transformation that is given from outside. */
  readonly in?: Schema;
  readonly defaultValue?: unknown;
  readonly entries?: Readonly<Record<string, string>>;
}
type Schema = z.ZodType & { readonly def: Definition; readonly shape?: Readonly<Record<string, Schema>> };

function unwrap(schema: z.ZodType): Schema {
  let current = schema as Schema; // every zod type has `def`
  for (;;) {
    const inner = current.def.innerType ?? current.def.in;
    if (inner === undefined) return current;
    current = inner;
  }
}

function toSetting(section: SectionName, key: string, leaf: Schema): Setting {
  const path = `${section}.${key}`;
  const words = `${section}-${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const inner = unwrap(leaf);
  const fields = leaf.meta() as SettingMeta | undefined; // written with meta() in schema.ts
  if (fields === undefined) throw new TypeError(`setting ${path} has no description`);
  return {
    section,
    key,
    path,
    flag: fields.flag ?? words,
    short: fields.short,
    environment: ENVIRONMENT_PREFIX + words.replaceAll('-', '_').toUpperCase(),
    argument: fields.argument ?? 'VALUE',
    description: fields.description,
    type: typeOf(inner),
    defaultValue: leaf.def.type === 'default' ? leaf.def.defaultValue : undefined,
    allowed: fields.allowed ?? allowedBy(inner, leaf),
    secret: fields.secret === true,
  };
}

function typeOf(schema: Schema): SettingType {
  if (schema.def.type === 'array') return 'list';
  if (schema.def.type === 'boolean') return 'boolean';
  return schema.def.type === 'number' ? 'number' : 'string';
}

function allowedBy(inner: Schema, leaf: Schema): string {
  if (inner.def.entries !== undefined) return Object.values(inner.def.entries).join(', ');
  if (inner.def.type === 'boolean') return 'true or false';
  if (inner.def.type === 'number') {
    const { minValue, maxValue, isInt } = inner as unknown as z.ZodNumber; // def.type says so
    return `a ${isInt ? 'whole ' : ''}number from ${minValue} to ${maxValue}`;
  }
  return (leaf.meta() as SettingMeta).argument ?? 'text';
}
