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

/**
 * Runs `istioctl analyze` on objects in all namespaces. Without a cluster it leaves out what needs to know Services, such
 * as whether a route leads anywhere; with one, what that holds counts too. Objects that it cannot read are left out.
 */
export async function analyze(
  objects: readonly object[],
  cluster?: { readonly kubeconfigFile: string },
): Promise<readonly AnalysisMessage[]> {
  const directory = createTemporaryDirectory();
  const file = directory.file('objects.yaml');
  writeFileSync(file, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  const from = cluster === undefined ? '--use-kube=false' : `--kubeconfig=${cluster.kubeconfigFile}`;
  // Without -A it reads the namespace `default` only; with JSON its exit code is always 0.
  const { stdout } = await runCommand(await partPath('istioctl'), ['analyze', from, '-A', '--output=json', file]);
  const messages: unknown = JSON.parse(stdout.slice(stdout.search(/^\[/m))); // log lines come first
  return messages as readonly AnalysisMessage[]; // the program's documented output
}
