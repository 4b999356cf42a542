import { z } from 'zod';
import { configurationSchema } from './schema.js';

/*
 * The values of the Helm chart. `npm run generate` writes deploy/chart/values.yaml (every key with its default and its
 * description) and deploy/chart/values.schema.json from here, so that the three cannot differ.
 */

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/; // RFC 1123 label
const QUANTITY = /^[0-9]+(?:\.[0-9]+)?(?:m|k|Ki|M|Mi|G|Gi|T|Ti)?$/; // the part of Kubernetes' Quantity that people write
const DIGEST = /^(?:|sha256:[0-9a-f]{64})$/;

const name = (): z.ZodString => z.string().regex(NAME);
const optionalName = (): z.ZodUnion<readonly [z.ZodLiteral<''>, z.ZodString]> => z.union([z.literal(''), name()]);
const texts = (): z.ZodRecord<z.ZodString, z.ZodString> => z.record(z.string(), z.string());

const described = <T extends z.ZodType>(schema: T, description: string): T => schema.meta({ description });

function imageOf(defaults: { readonly repository: string; readonly tag: string }, tagDescription: string) {
  return z.strictObject({
    repository: described(
      z.string().min(1).default(defaults.repository),
      'Repository, with the registry in front if it is not the default of the nodes.',
    ),
    tag: described(
      z
        .string()
        .min(defaults.tag === '' ? 0 : 1)
        .default(defaults.tag),
      tagDescription,
    ),
    digest: described(
      z.string().regex(DIGEST).default(''),
      'sha256:… of the image. If it is set, the tag counts for nothing.',
    ),
    pullPolicy: described(z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'), 'When nodes pull it.'),
  });
}

function resourcesOf(defaults: {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}) {
  const quantities = z.record(z.string(), z.union([z.string().regex(QUANTITY), z.number()]));
  return z
    .strictObject({
      requests: described(quantities.default(defaults.requests), 'What the scheduler sets aside.'),
      limits: described(
        quantities.default(defaults.limits),
        'What the container may not exceed. There is no CPU limit: throttling would only make it fall behind.',
      ),
    })
    .prefault({});
}

function cidr() {
  return z.union([z.cidrv4(), z.cidrv6()]);
}

const collector = z.strictObject({
  replicas: described(
    z.int().min(1).max(20).default(2),
    'Pods that take what CoreDNS sends. With two, a restart of one loses only what was on its way.',
  ),
  service: z
    .strictObject({
      port: described(z.int().min(1).max(65_535).default(6000), 'TCP port of the Service that CoreDNS connects to.'),
      clusterIP: described(
        z.string().default(''),
        'Fixed address of the Service; empty: Kubernetes chooses one. The Corefile holds the address itself, so a fixed one survives a new installation.',
      ),
      ipFamily: described(
        z.enum(['IPv4', 'IPv6']).default('IPv4'),
        'Address family of the Service, and what the collector listens on.',
      ),
    })
    .prefault({}),
  allowedAddresses: described(
    z.array(cidr()).default([]),
    'Networks from which the collector takes connections at all; empty: every one. For a network without NetworkPolicies whose pods can be reached from outside the cluster: that of the pods, and of the nodes.',
  ),
  resources: resourcesOf({ requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } }),
});

const reconciler = z.strictObject({
  replicas: described(
    z.int().min(1).max(5).default(1),
    'Pods that can write ServiceEntries. With more than one, the holder of a Lease writes and the others wait.',
  ),
  namespaces: described(
    z.array(name()).default([]),
    'Namespaces to read and write, by a Role in each and no ClusterRole; empty: all. They must exist. What is in other namespaces is then not seen: neither clients nor ServiceEntries that are exported from there.',
  ),
  serviceAccountName: described(
    optionalName().default(''),
    'An existing ServiceAccount to use; empty: the chart makes one. The chart binds its rights to it either way.',
  ),
  resources: resourcesOf({ requests: { cpu: '50m', memory: '192Mi' }, limits: { memory: '512Mi' } }),
});

const bundledRedis = z.strictObject({
  enabled: described(z.boolean().default(true), 'One Redis, run by this chart. Off: fill in redis.external.'),
  image: imageOf({ repository: 'redis', tag: '7.2-bookworm' }, 'Tag of the image.').prefault({}),
  existingSecret: described(
    optionalName().default(''),
    'Secret with the key `password`; empty: the chart makes a password once and keeps it. Needed where a tool renders the chart without asking the cluster (Argo CD, `helm template`): it would make a new password each time. Quotes, backslashes and blanks in the password do not work.',
  ),
  persistence: z
    .strictObject({
      enabled: described(
        z.boolean().default(true),
        'Keep the data in a PersistentVolumeClaim. Off: what was learnt is gone with the pod.',
      ),
      size: described(z.string().regex(QUANTITY).default('1Gi'), 'Size of the claim.'),
      storageClass: described(z.string().default(''), 'StorageClass of the claim; empty: the default of the cluster.'),
    })
    .prefault({}),
  maxMemoryMi: described(
    z.int().min(16).max(65_536).default(128),
    'Most data that Redis keeps, in MiB; more is refused, never evicted. Keep the memory limit at twice this: while Redis saves, both old and new data are in memory.',
  ),
  resources: resourcesOf({ requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '256Mi' } }),
});

const externalRedis = z.strictObject({
  existingSecret: described(
    optionalName().default(''),
    'Secret that holds the URL of a Redis: redis://…, redis+sentinel://… or redis+cluster://…, with TLS rediss…, with user and password in it if there are any. In mode `sidecar` a Secret of that name is needed in the namespace of the cluster DNS too, with an address in it that the nodes can look up.',
  ),
  key: described(z.string().min(1).default('url'), 'Key of that Secret.'),
  passwordKey: described(z.string().default(''), 'Key of the same Secret with the password, if the URL has none.'),
  sentinelPasswordKey: described(z.string().default(''), 'Key of the same Secret with the password of the sentinels.'),
  tls: z
    .strictObject({
      existingSecret: described(
        optionalName().default(''),
        'Secret with `ca.crt`, the authorities that Redis is certified by; empty: those of Node.',
      ),
      clientCertificate: described(
        z.boolean().default(false),
        'That Secret also has `tls.crt` and `tls.key`, which Redis asks for.',
      ),
      serverName: described(z.string().default(''), 'Name in the certificate of Redis, if it is not its address.'),
    })
    .prefault({}),
});

const { dnstap, observation, host, istio, reconcile, log } = configurationSchema.shape;

const { maxConnections, maxFrameBytes } = dnstap.unwrap().shape;

/** What of the program's own settings makes sense here; addresses, the store and the Lease follow from the rest. */
const config = z.strictObject({
  dnstap: z.strictObject({ maxConnections, maxFrameBytes }).prefault({}),
  observation,
  host,
  istio,
  reconcile: reconcile.unwrap().omit({ leaderElection: true }).prefault({}),
  log: log.unwrap().pick({ level: true }).prefault({}),
});

const clusterDns = z.strictObject({
  configure: described(
    z.boolean().default(true),
    'Change CoreDNS by a Job after each installation and upgrade, and put it back before the removal. Off: all of that is left to you.',
  ),
  namespace: described(name().default('kube-system'), 'Namespace of the cluster DNS.'),
  deployment: described(
    name().default('coredns'),
    'Name of the Deployment of CoreDNS: the only one that the Job may change.',
  ),
  configMap: described(
    name().default('coredns'),
    'Name of the ConfigMap with the Corefile: the only one that the Job may change.',
  ),
  podLabels: described(texts().default({ 'k8s-app': 'kube-dns' }), 'Labels of the pods of the cluster DNS.'),
  timeoutSeconds: described(
    configurationSchema.shape.install.unwrap().shape.timeoutSeconds,
    'How long CoreDNS may take to read its Corefile, or to roll out, before it is all put back.',
  ),
  repair: described(
    z.boolean().default(false),
    'When somebody takes us out of CoreDNS (kubeadm upgrade, GitOps, a person), put us back by a CronJob with the rights of the Job. It looks every five minutes, waits longer after each attempt, and gives up after the fifth in a row. Off: it is only reported, by event, metric, alert and `status`.',
  ),
});

const sidecar = z.strictObject({
  resources: resourcesOf({ requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '256Mi' } }),
});

const networkPolicy = z.strictObject({
  enabled: described(
    z.boolean().default(true),
    'Let only the cluster DNS reach the collector, and only collector and reconciler reach the bundled Redis.',
  ),
  metricsNamespaces: described(
    z.array(name()).default([]),
    'Namespaces that may read /metrics. The nodes, for their probes, always may.',
  ),
  dnstapCidrs: described(
    z.array(cidr()).default([]),
    'Networks that may reach the collector beside the pods of the cluster DNS: those of the nodes where NodeLocal DNSCache, which is in no pod network, has the line. Cilium needs policy-cidr-match-mode=nodes for that.',
  ),
});

const monitoring = z.strictObject({
  serviceMonitor: z
    .strictObject({
      enabled: described(
        z.boolean().default(false),
        'Let the Prometheus Operator scrape collector and reconciler; in mode `sidecar` by a PodMonitor too.',
      ),
      labels: described(
        texts().default({}),
        'Further labels, by which your Prometheus selects ServiceMonitors and PodMonitors.',
      ),
      interval: described(
        z
          .string()
          .regex(/^[0-9]+[sm]$/)
          .default('30s'),
        'Time between two scrapes.',
      ),
    })
    .prefault({}),
  prometheusRule: z
    .strictObject({
      enabled: described(z.boolean().default(false), 'Alerts for the Prometheus Operator.'),
      labels: described(texts().default({}), 'Further labels, by which your Prometheus selects rules.'),
    })
    .prefault({}),
  dashboard: z
    .strictObject({
      enabled: described(z.boolean().default(false), 'A ConfigMap with a dashboard for Grafana.'),
      labels: described(texts().default({ grafana_dashboard: '1' }), 'Labels by which Grafana finds dashboards.'),
    })
    .prefault({}),
});

/** The values of the chart. Unknown keys are refused. */
export const chartValuesSchema = z.strictObject({
  image: imageOf(
    { repository: 'istio-discovery', tag: '' },
    'Tag of the image; empty: the version of the chart.',
  ).prefault({}),
  imagePullSecrets: described(z.array(name()).default([]), 'Names of Secrets for pulling images.'),
  mode: described(
    z.enum(['collector', 'sidecar']).default('collector'),
    'How CoreDNS is listened to. collector: it sends over TCP to a Service of ours, its pods stay as they are. sidecar: a container is added to each of its pods; that one must be running for CoreDNS to be ready.',
  ),
  clusterDns: clusterDns.prefault({}),
  collector: described(collector.prefault({}), 'Of mode `collector`.'),
  sidecar: described(sidecar.prefault({}), 'Of mode `sidecar`.'),
  reconciler: reconciler.prefault({}),
  redis: z.strictObject({ bundled: bundledRedis.prefault({}), external: externalRedis.prefault({}) }).prefault({}),
  config: described(
    config.prefault({}),
    'Settings of the program: the sections and names of its own configuration file.',
  ),
  networkPolicy: networkPolicy.prefault({}),
  monitoring: monitoring.prefault({}),
  podDisruptionBudget: described(
    z.boolean().default(true),
    'Let a drain take only one pod at a time, of what has more than one replica.',
  ),
  topologySpread: described(
    z.enum(['ScheduleAnyway', 'DoNotSchedule']).default('ScheduleAnyway'),
    'What to do when replicas cannot be spread over nodes.',
  ),
  nodeSelector: described(texts().default({ 'kubernetes.io/os': 'linux' }), 'Labels of the nodes for all pods.'),
  tolerations: described(z.array(z.looseObject({})).default([]), 'Tolerations of all pods, as in a pod.'),
  global: described(
    z.record(z.string(), z.unknown()).default({}),
    'Not used. Helm passes it down when this chart is part of another.',
  ),
});
