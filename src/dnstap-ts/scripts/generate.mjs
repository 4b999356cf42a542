// Writes generated/dnstap.js and generated/dnstap.d.ts from proto/dnstap.proto with pbjs.
//
// proto2 enumerations are closed: pbjs would make the decoder treat a value it does not know as an unknown field, and a
// message of a newer type as one without its required type. Producers newer than this package exist, so every enumeration
// is opened (edition feature `enum_type: OPEN`) between parsing and code generation.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const pbjs = promisify(createRequire(import.meta.url)('protobufjs-cli').pbjs.main);
const proto = fileURLToPath(new URL('../../../proto/dnstap.proto', import.meta.url));

function openEnumerations(node) {
  if (node.values !== undefined) node.options = { ...node.options, features: { enum_type: 'OPEN' } };
  for (const nested of Object.values(node.nested ?? {})) openEnumerations(nested);
}

export async function generate(directory) {
  const scratch = mkdtempSync(join(tmpdir(), 'dnstap-ts-generate-'));
  try {
    const schema = join(scratch, 'dnstap.json');
    await pbjs(['-t', 'json', '-o', schema, proto]);
    const root = JSON.parse(readFileSync(schema, 'utf8'));
    openEnumerations(root);
    writeFileSync(schema, JSON.stringify(root));
    const shape = ['--null-semantics', '--no-create', '--no-verify', '--no-convert', '--no-delimited', '--no-typeurl'];
    const names = ['--root', 'dnstap-ts', '-o', join(directory, 'dnstap.js')];
    await pbjs(['-t', 'static-module', '-w', 'esm', '--dts', ...shape, ...names, schema]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await generate(process.argv[2] ?? fileURLToPath(new URL('../generated', import.meta.url)));
}
