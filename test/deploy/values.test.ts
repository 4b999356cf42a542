import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { chartValuesSchema } from '../../src/config/chart-values.js';
import { chartValuesJsonSchema, configurationJsonSchema, type JsonSchema } from '../../src/config/json-schema.js';
import { formatValuesFile } from '../../src/config/values-file.js';
import { formatValuesReference } from '../../src/config/values-reference.js';
import { ROOT, runCommand } from '../support/command.js';
import { createHelm } from '../support/helm.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { CHART, valuesFile } from './chart.js';

interface Leaf {
  readonly path: string;
  readonly schema: JsonSchema;
}

function leavesOf(schema: JsonSchema, path = ''): readonly Leaf[] {
  if (schema.properties === undefined) return [{ path, schema }];
  return Object.entries(schema.properties).flatMap(([key, inner]) =>
    leavesOf(inner, path === '' ? key : `${path}.${key}`),
  );
}

function valueAt(tree: unknown, path: string): unknown {
  return path.split('.').reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], tree);
}

describe('values of the chart', () => {
  it.each(['values.schema.json', 'values.yaml', 'README.md'])('%s is what `npm run generate` writes', async (name) => {
    const { path } = createTemporaryDirectory();
    await runCommand(process.execPath, [`${ROOT}/scripts/generate.mjs`, '--chart', path]);
    expect(readFileSync(join(CHART, name), 'utf8')).toBe(readFileSync(join(path, name), 'utf8'));
  });

  it('values.yaml has every key of the schema, with its default', () => {
    const values: unknown = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
    const leaves = leavesOf(chartValuesJsonSchema());
    expect(leaves.length).toBeGreaterThan(40);
    for (const { path, schema } of leaves) expect([path, valueAt(values, path)]).toEqual([path, schema.default]);
    expect(chartValuesSchema.parse(values)).toEqual(chartValuesSchema.parse({}));
  });

  it('README.md has a row for every key of the schema', () => {
    const text = readFileSync(join(CHART, 'README.md'), 'utf8');
    const named = [...text.matchAll(/^\| `([^`]+)`/gm)].map(([, path]) => path);
    expect(named).toEqual(leavesOf(chartValuesJsonSchema()).map(({ path }) => path));
  });

  it('describes every key', () => {
    const bare = leavesOf(chartValuesJsonSchema()).filter(({ schema }) => schema.description === undefined);
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  it('refuses unknown keys at every level', () => {
    const open = (schema: JsonSchema, path: string): readonly string[] => [
      ...(schema.properties !== undefined && schema.additionalProperties !== false ? [path] : []),
      ...Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => open(inner, `${path}.${key}`)),
    ];
    expect(open(chartValuesJsonSchema(), '')).toEqual([]);
    expect(open(configurationJsonSchema(), '')).toEqual([]);
  });

  it.each([
    ['an unknown key', { redis: { bundled: { enable: false } } }],
    ['an unknown setting', { config: { observation: { clusterDomian: 'cluster.local' } } }],
    ['a setting that follows from other values', { config: { reconcile: { leaderElection: true } } }],
    ['a number out of range', { collector: { replicas: 0 } }],
    ['a domain that is none', { config: { observation: { clusterDomains: ['a..b'] } } }],
    ['a name that is too long', { config: { observation: { clusterDomains: [`${'a.'.repeat(127)}a`] } } }],
    ['a network that is none', { config: { observation: { clusterCidrs: ['192.0.2.0'] } } }],
    ['a sidecar that nobody puts beside CoreDNS', { mode: 'sidecar', clusterDns: { configure: false } }],
    ['an external Redis without its address', { redis: { bundled: { enabled: false } } }],
  ])('Helm refuses %s', async (_, values) => {
    const helm = await createHelm();
    const template = ['template', 'x', CHART, '--kube-version', 'v1.36.0', '--values'];
    await expect(helm(...template, valuesFile(values))).rejects.toMatchObject({ code: 'TEST_ERR_COMMAND_FAILED' });
    await expect(helm(...template, valuesFile({}))).resolves.toContain('kind: Deployment');
  });
});

describe('formatValuesFile', () => {
  it('writes defaults under their descriptions and quotes what YAML 1.1 takes for something else', () => {
    const schema: JsonSchema = {
      properties: {
        first: { description: 'One.', default: 'no' },
        group: { properties: { second: { description: 'Two.', default: [] }, third: { default: 3 } } },
      },
    };
    expect(formatValuesFile(schema, 'Heading.')).toBe(
      "# Heading.\n\n# One.\nfirst: 'no'\n\ngroup:\n  # Two.\n  second: []\n  third: 3\n",
    );
  });

  it('breaks long descriptions into lines', () => {
    const description = 'word '.repeat(60).trim();
    const lines = formatValuesFile({ properties: { a: { description, default: 1 } } }, 'Heading.').split('\n');
    expect(lines.every((line) => line.length <= 103)).toBe(true);
    expect(lines.filter((line) => line.startsWith('# word')).length).toBeGreaterThan(2);
  });
});

describe('formatValuesReference', () => {
  it('says what is allowed in words, and keeps a bar inside its cell', () => {
    const text = formatValuesReference(
      {
        properties: {
          mode: { enum: ['sidecar', 'collector'], default: 'collector', description: 'this | that' },
          limits: { properties: { most: { type: 'integer', minimum: 1, maximum: 9, default: 3, description: 'N' } } },
        },
      },
      'A page.',
    );
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        '| `mode` | `"collector"` | `sidecar`, `collector` | this \\| that |',
        '| `limits.most` | `3` | 1 to 9 | N |',
      ]),
    );
  });
});
