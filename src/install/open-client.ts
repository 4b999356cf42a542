import { KubernetesClient } from '../kubernetes/client.js';

/** The API server of a kubeconfig's context, or of the cluster that this pod is in. */
export function openClient(options: {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}): KubernetesClient {
  const { kubeconfig, context } = options;
  return KubernetesClient.load({
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
  });
}
