import { writeFileSync } from 'node:fs';
import { runCommand } from './command.js';
import { partPath } from './parts.js';
import { createTemporaryDirectory } from './temporary-directory.js';

/** One message of `istioctl analyze`. */
export interface AnalysisMessage {
  readonly code: string;
  readonly level: 'Error' | 'Warning' | 'Info';
  readonly message: string;
  /** `Kind namespace/name`. */
  readonly origin: string;
}

/** Runs `istioctl analyze` on objects without a cluster, in all namespaces. Objects that it cannot read are left out. */
export async function analyze(objects: readonly object[]): Promise<readonly AnalysisMessage[]> {
  const directory = createTemporaryDirectory();
  const file = directory.file('objects.yaml');
  writeFileSync(file, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  // Without -A it reads the namespace `default` only; with JSON its exit code is always 0.
  const args = ['analyze', '--use-kube=false', '-A', '--output=json', file];
  const { stdout } = await runCommand(await partPath('istioctl'), args);
  const messages: unknown = JSON.parse(stdout.slice(stdout.search(/^\[/m))); // log lines come first
  return messages as readonly AnalysisMessage[]; // the program's documented output
}
