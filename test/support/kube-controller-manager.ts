import { freePort } from './free-port.js';
import type { KubeApiserver } from './kube-apiserver.js';
import { partPath } from './parts.js';
import { answersHttps } from './probe.js';
import { partMethods, startPart, type Part } from './process.js';
import { createTemporaryDirectory } from './temporary-directory.js';

/**
 * Starts the controllers of Kubernetes; they are ready when namespaces get their ServiceAccount.
 *
 * @param args more flags
 */
export async function startKubeControllerManager(server: KubeApiserver, args: readonly string[] = []): Promise<Part> {
  const directory = createTemporaryDirectory();
  const port = await freePort();
  const process = await startPart({
    name: 'kube-controller-manager',
    command: await partPath('kube-controller-manager'),
    args: [
      `--kubeconfig=${server.kubeconfigFile}`,
      `--authentication-kubeconfig=${server.kubeconfigFile}`,
      `--authorization-kubeconfig=${server.kubeconfigFile}`,
      `--service-account-private-key-file=${server.serviceAccountKeyFile}`,
      `--root-ca-file=${server.caFile}`,
      `--cert-dir=${directory.path}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--leader-elect=false',
      ...args,
    ],
    directory,
    ready: async () => {
      await answersHttps(`https://127.0.0.1:${port}/healthz`);
      await server.kubectl(['get', 'serviceaccount', 'default', '--namespace=default']);
    },
  });
  return partMethods(process);
}
