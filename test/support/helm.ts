import { runCommand } from './command.js';
import type { KubeApiserver } from './kube-apiserver.js';
import { partPath } from './parts.js';
import { createTemporaryDirectory } from './temporary-directory.js';

/** Runs helm with the arguments and returns what it printed. */
export type Helm = (...args: readonly string[]) => Promise<string>;

/** A helm with empty caches; it talks to the API server, when one is given. */
export async function createHelm(server?: KubeApiserver): Promise<Helm> {
  const path = await partPath('helm');
  const directory = createTemporaryDirectory();
  const environment = {
    HELM_CACHE_HOME: directory.file('cache'),
    HELM_CONFIG_HOME: directory.file('config'),
    HELM_DATA_HOME: directory.file('data'),
    // Never the cluster of whoever runs the tests.
    KUBECONFIG: server?.kubeconfigFile ?? directory.file('no-kubeconfig'),
  };
  return async (...args) => (await runCommand(path, args, { environment })).stdout;
}
