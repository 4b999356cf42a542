import type { FindingCode, FindingPath, Report } from './finding.js';

/** As much of a CRD's structural schema as Istio's needs. A `code` stands in for the general code of a value. */
export type Schema =
  | { readonly type: 'anything' }
  | TextSchema
  | { readonly type: 'integer'; readonly min: number; readonly max: number; readonly code: FindingCode }
  | ListSchema
  | MapSchema
  | ObjectSchema;

interface TextSchema {
  readonly type: 'text';
  readonly max?: number;
  readonly oneOf?: readonly string[];
  readonly code?: FindingCode;
}

interface ListSchema {
  readonly type: 'list';
  readonly items: Schema;
  readonly max?: number;
}

interface MapSchema {
  readonly type: 'map';
  readonly values: Schema;
  readonly max?: number;
}

interface ObjectSchema {
  readonly type: 'object';
  readonly fields: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** Reports where a value breaks a schema. Text is counted in code points, as the API server does. */
export function checkSchema(value: unknown, schema: Schema, path: FindingPath, report: Report): void {
  switch (schema.type) {
    case 'anything':
      return;
    case 'text':
      return checkText(value, schema, path, report);
    case 'integer':
      if (typeof value !== 'number' || !Number.isInteger(value))
        return reportType('a whole number', value, path, report);
      if (value < schema.min || value > schema.max) {
        report(schema.code, path, `${value} is not within ${schema.min} to ${schema.max}`);
      }
      return;
    case 'list':
      return checkList(value, schema, path, report);
    case 'map':
      return checkMap(value, schema, path, report);
    case 'object':
      return checkObject(value, schema, path, report);
  }
}

function checkText(value: unknown, { max, oneOf, code }: TextSchema, path: FindingPath, report: Report): void {
  if (typeof value !== 'string') return reportType('text', value, path, report);
  if (oneOf !== undefined && !oneOf.includes(value)) {
    report(code ?? 'type', path, `${JSON.stringify(value)} is none of ${oneOf.join(', ')}`);
  }
  if (max !== undefined && Array.from(value).length > max) report('too-long', path, `longer than ${max} characters`);
}

function checkList(value: unknown, { items, max }: ListSchema, path: FindingPath, report: Report): void {
  if (!Array.isArray(value)) return reportType('a list', value, path, report);
  if (max !== undefined && value.length > max) report('too-many', path, `${value.length} items, more than ${max}`);
  for (const [index, item] of value.entries()) checkSchema(item, items, [...path, index], report);
}

function checkMap(value: unknown, { values, max }: MapSchema, path: FindingPath, report: Report): void {
  if (!isRecord(value)) return reportType('an object', value, path, report);
  const entries = Object.entries(value);
  if (max !== undefined && entries.length > max) report('too-many', path, `${entries.length} keys, more than ${max}`);
  for (const [key, item] of entries) checkSchema(item, values, [...path, key], report);
}

function checkObject(value: unknown, { fields, required = [] }: ObjectSchema, path: FindingPath, report: Report): void {
  if (!isRecord(value)) return reportType('an object', value, path, report);
  for (const field of required) {
    if (value[field] === undefined) report('required', path, `${field} is missing`);
  }
  for (const [key, item] of Object.entries(value)) {
    const schema = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (schema === undefined) report('unknown-field', [...path, key], `there is no field ${key}`);
    else if (item !== undefined) checkSchema(item, schema, [...path, key], report);
  }
}

function reportType(expected: string, value: unknown, path: FindingPath, report: Report): void {
  report('type', path, `expected ${expected}, found ${value === null ? 'null' : describeType(value)}`);
}

function describeType(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value)}`;
}

/** @internal */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
