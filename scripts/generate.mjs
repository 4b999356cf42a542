// Writes the files that are made from other files:
//   deploy/chart/values.yaml, values.schema.json and README.md   from src/config
//   src/dnstap-ts/generated/                                     from proto/dnstap.proto
//
// Usage: node scripts/generate.mjs [--chart DIRECTORY]    with a directory: only the chart's files, into it
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import * as prettier from 'prettier';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Imports a TypeScript module of src/ with what it imports. */
async function importSource(entry) {
  mkdirSync(join(root, 'dist'), { recursive: true });
  const scratch = mkdtempSync(join(root, 'dist', '.generate-')); // below the checkout, where packages are found
  try {
    const outfile = join(scratch, 'module.mjs');
    await build({
      stdin: { contents: entry, resolveDir: root },
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      packages: 'external',
      logLevel: 'error',
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

async function generateChartFiles(directory) {
  const modules = ['json-schema', 'values-file', 'values-reference'];
  const { chartValuesJsonSchema, formatValuesFile, formatValuesReference } = await importSource(
    modules.map((name) => `export * from './src/config/${name}.ts';`).join('\n'),
  );
  const schema = chartValuesJsonSchema();
  const options = await prettier.resolveConfig(join(root, 'package.json'));
  const heading =
    'Values of the chart. Generated from src/config/chart-values.ts by `npm run generate`: change that file instead.';
  const lists =
    'What is under `config` can also be given to the program as a flag, which is repeated for a list, or as a variable of its ' +
    'environment, `ISTIO_DISCOVERY_<SECTION>_<KEY>`: there a list is a JSON array (`["a", "b"]`), or one item a line, or ' +
    'items between commas in a single line. Items that contain commas themselves, as those of `istio.tcpRanges`, need one ' +
    'of the first two, also if there is only one of them.';
  const files = {
    'values.schema.json': JSON.stringify(schema, null, 2),
    'values.yaml': formatValuesFile(schema, heading),
    'README.md': formatValuesReference(schema, `${heading}\n\n${lists}`),
  };
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    writeFileSync(path, await prettier.format(text, { ...options, filepath: path }));
  }
}

const [flag, directory] = process.argv.slice(2);
if (flag === '--chart' && directory !== undefined) {
  await generateChartFiles(resolve(directory));
} else if (flag === undefined) {
  await generateChartFiles(join(root, 'deploy/chart'));
  const { generate } = await import('../src/dnstap-ts/scripts/generate.mjs');
  await generate(join(root, 'src/dnstap-ts/generated'));
} else {
  console.error('usage: node scripts/generate.mjs [--chart DIRECTORY]');
  process.exitCode = 2;
}
