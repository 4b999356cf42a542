import type { KubernetesClient } from '../kubernetes/client.js';

/** A right in the words of RBAC. */
export interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** In all namespaces, or not in any, when absent. */
  readonly namespace?: string;
  /** What it is for. */
  readonly purpose: string;
}

/** A right, and whether the account of the kubeconfig has it. */
export interface ReviewedRight extends Right {
  readonly allowed: boolean;
}

export interface RightsOptions {
  /** Of CoreDNS. */
  readonly dnsNamespace: string;
  /** Ours. */
  readonly namespace: string;
  /** Whether the installer changes the ConfigMap of CoreDNS. */
  readonly changesCorefile: boolean;
}

const RBAC = 'rbac.authorization.k8s.io';

/** What a person needs who installs: Helm's objects, the Corefile, and every right that the reconciler's role gives. */
export function rightsToInstall({ dnsNamespace, namespace, changesCorefile }: RightsOptions): readonly Right[] {
  const reconciling = "the reconciler's rights";
  return [
    { verb: 'create', group: '', resource: 'namespaces', purpose: 'the namespace of istio-discovery' },
    { verb: 'create', group: 'apps', resource: 'deployments', namespace, purpose: 'collector and reconciler' },
    { verb: 'create', group: 'apps', resource: 'statefulsets', namespace, purpose: 'the bundled Redis' },
    { verb: 'create', group: '', resource: 'secrets', namespace, purpose: 'the password of Redis' },
    { verb: 'create', group: RBAC, resource: 'clusterroles', purpose: reconciling },
    { verb: 'create', group: RBAC, resource: 'clusterrolebindings', purpose: reconciling },
    { verb: 'list', group: '', resource: 'pods', purpose: reconciling },
    { verb: 'patch', group: 'networking.istio.io', resource: 'serviceentries', purpose: reconciling },
    ...(changesCorefile ? rightsToChangeDns(dnsNamespace) : []),
  ];
}

function rightsToChangeDns(namespace: string): readonly Right[] {
  return [
    { verb: 'patch', group: '', resource: 'configmaps', namespace, purpose: 'the line in the Corefile' },
    { verb: 'patch', group: 'apps', resource: 'deployments', namespace, purpose: 'restarting CoreDNS, or its sidecar' },
    {
      verb: 'update',
      group: '',
      resource: 'pods',
      namespace,
      purpose: 'replacing pods of CoreDNS without losing a look-up',
    },
  ];
}

/**
 * Asks the API server for each right.
 *
 * @throws KubernetesError
 */
export async function reviewRights(
  client: KubernetesClient,
  rights: readonly Right[],
  signal?: AbortSignal,
): Promise<readonly ReviewedRight[]> {
  return Promise.all(rights.map(async (right) => ({ ...right, allowed: await isAllowed(client, right, signal) })));
}

async function isAllowed(client: KubernetesClient, right: Right, signal?: AbortSignal): Promise<boolean> {
  const { verb, group, resource, namespace = '' } = right;
  const { body } = await client.request({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb, group, resource, namespace } },
    },
    ...(signal && { signal }),
  });
  return (body as { readonly status?: { readonly allowed?: boolean } }).status?.allowed === true; // every field optional
}
