import type { Deployment, DeploymentStrategy, PodSpec } from './dns-workload.js';

/** Keeps the strategy that the Deployment had, as JSON, as long as it has ours. */
const STRATEGY_ANNOTATION = 'istio-discovery.io/strategy';

/** No pod is taken away before the one in its place is ready: one that never is (its image, say) costs no DNS at all. */
const GENTLE: DeploymentStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } };

/**
 * A Deployment whose next rollout takes no pod away before there is another. kubeadm's allows one to be missing: of a CoreDNS
 * with one replica (minikube) that is all of DNS. Where pods may not stand side by side on a node, its own strategy stays.
 */
export function withGentleStrategy(deployment: Deployment): Deployment {
  const { annotations = {} } = deployment.metadata as Metadata;
  const { strategy, template } = deployment.spec;
  if (annotations[STRATEGY_ANNOTATION] !== undefined || strategy === undefined) return deployment;
  if (needsNodeOfItsOwn(template.spec)) return deployment;
  const kept = { ...annotations, [STRATEGY_ANNOTATION]: JSON.stringify(strategy) };
  return {
    ...deployment,
    metadata: { ...deployment.metadata, annotations: kept },
    spec: { ...deployment.spec, strategy: GENTLE },
  };
}

/** The Deployment with the strategy that it had before {@link withGentleStrategy}. */
export function withOwnStrategy(deployment: Deployment): Deployment {
  const { annotations = {}, ...metadata } = deployment.metadata as Metadata;
  const { [STRATEGY_ANNOTATION]: text, ...others } = annotations;
  if (text === undefined) return deployment;
  const strategy = JSON.parse(text) as DeploymentStrategy; // only withGentleStrategy writes it
  const hasOthers = Object.keys(others).length > 0;
  return {
    ...deployment,
    metadata: { ...metadata, ...(hasOthers && { annotations: others }) },
    spec: { ...deployment.spec, strategy },
  };
}

type Metadata = Deployment['metadata'] & { readonly annotations?: Readonly<Record<string, string>> };

function needsNodeOfItsOwn({ hostNetwork, containers, affinity }: PodSpec): boolean {
  const hasHostPort = containers.some(({ ports = [] }) => ports.some(({ hostPort }) => hostPort !== undefined));
  const rules = affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  return hostNetwork === true || hasHostPort || rules.length > 0;
}
