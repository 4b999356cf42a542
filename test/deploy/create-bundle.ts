import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runCommand } from '../support/command.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

/** Bundles the program as the image has it, far from any node_modules; returns the directory of main.js. */
export async function createBundle(): Promise<string> {
  const directory = createTemporaryDirectory();
  copyFileSync(join(ROOT, 'package.json'), directory.file('package.json'));
  const output = directory.file('dist/bundle');
  await runCommand(process.execPath, [join(ROOT, 'scripts/bundle.mjs'), '--output', output]);
  return output;
}
