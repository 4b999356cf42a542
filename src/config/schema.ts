import { z } from 'zod';
import { Secret } from './secret.js';

/**
 * What a setting is called outside: `--flag` (without it: from the path), a one-letter flag, the word for its value in
 * `--help`, and whether its value is a secret. The description is for `--help`, the chart and error messages alike.
 */
export interface SettingMeta {
  readonly description: string;
  readonly flag?: string;
  readonly short?: string;
  readonly argument?: string;
  readonly secret?: true;
  /** What is allowed, in words, where the schema alone reads badly. */
  readonly allowed?: string;
}

const meta = (fields: SettingMeta): SettingMeta & Record<string, unknown> => ({ ...fields });

const DOMAIN = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/; // RFC 1123 label
const PORT = /^[1-9]\d{0,4}\/(?:TLS|HTTPS|HTTP|HTTP2|GRPC)$/i;
const DNSTAP_ENDPOINT = /^(?:unix:\/\/)?\/.+$|^(?:tcp|tls):\/\/.+:\d{1,5}$/;
/** Roughly: the store itself reads the rest and says what is wrong. */
const STORE_URL = /^(?:embedded:\/\/\/?.+|rediss?(?:\+cluster)?:\/\/.+|rediss?\+sentinel:\/\/.+\/.+)$/;
const HTTP_ADDRESS = /^(?:|.*:\d{1,5})$/;

const domains = z.array(z.string().regex(DOMAIN));

const file = (description: string): z.ZodOptional<z.ZodString> =>
  z
    .string()
    .min(1)
    .optional()
    .meta(meta({ description, argument: 'FILE' }));

const dnstap = z
  .strictObject({
    endpoints: z
      .array(z.string().regex(DNSTAP_ENDPOINT))
      .default([])
      .meta(
        meta({
          description: 'where to listen for CoreDNS; repeatable',
          flag: 'dnstap',
          argument: 'ENDPOINT',
          allowed: 'unix:///path, tcp://host:port or tls://host:port',
        }),
      ),
    maxConnections: z
      .int()
      .min(1)
      .max(100_000)
      .default(1024)
      .meta(meta({ description: 'connections at a time; a further one is refused and counted', argument: 'N' })),
    maxFrameBytes: z
      .int()
      .min(1024)
      .max(1_048_576)
      .default(262_144)
      .meta(meta({ description: 'longer frames are skipped and counted', argument: 'BYTES' })),
    socketMode: z
      .string()
      .regex(/^0?[0-7]{3}$/)
      .default('0666')
      .meta(
        meta({
          description: 'mode of the unix socket; CoreDNS runs as another user',
          argument: 'MODE',
          allowed: 'three octal digits',
        }),
      ),
    allowedAddresses: z
      .array(z.union([z.cidrv4(), z.cidrv6()]))
      .default([])
      .meta(
        meta({
          description: 'networks from which CoreDNS may connect to tcp and tls (default: all); repeatable',
          flag: 'dnstap-allowed-address',
          argument: 'CIDR',
        }),
      ),
    tlsCertFile: file('PEM file of the certificate for tls:// endpoints; read at the start'),
    tlsKeyFile: file('PEM file of the key of that certificate'),
    tlsClientCaFile: file(
      'PEM file of the authorities of client certificates; senders without one are refused, and CoreDNS has none',
    ),
  })
  .superRefine((settings, context) => {
    for (const [key, message] of dnstapContradictions(settings)) {
      context.addIssue({ code: 'custom', path: [key], message });
    }
  });

/** Settings that would count for nothing, or a TLS endpoint without its certificate. */
function dnstapContradictions(settings: {
  readonly endpoints: readonly string[];
  readonly allowedAddresses: readonly string[];
  readonly tlsCertFile?: string | undefined;
  readonly tlsKeyFile?: string | undefined;
  readonly tlsClientCaFile?: string | undefined;
}): readonly (readonly [string, string])[] {
  const has = (scheme: string): boolean => settings.endpoints.some((endpoint) => endpoint.startsWith(`${scheme}://`));
  const found: (readonly [string, string])[] = [];
  for (const key of ['tlsCertFile', 'tlsKeyFile', 'tlsClientCaFile'] as const) {
    if (settings[key] !== undefined && !has('tls'))
      found.push([key, 'only with a tls:// endpoint in dnstap.endpoints']);
  }
  if (has('tls') && (settings.tlsCertFile === undefined || settings.tlsKeyFile === undefined)) {
    found.push(['endpoints', 'tls:// only together with dnstap.tlsCertFile and dnstap.tlsKeyFile']);
  }
  if (settings.allowedAddresses.length > 0 && !has('tcp') && !has('tls')) {
    found.push(['allowedAddresses', 'only with a tcp:// or tls:// endpoint in dnstap.endpoints']);
  }
  return found;
}

const replay = z.strictObject({
  files: z
    .array(z.string().min(1))
    .default([])
    .meta(
      meta({
        description: 'read a recorded Frame Streams capture (may be gzipped); repeatable',
        flag: 'read',
        argument: 'FILE',
      }),
    ),
  objects: z
    .string()
    .min(1)
    .optional()
    .meta(
      meta({
        description: 'Kubernetes objects for a replay: `kubectl get … -A -o json`, or JSON lines of watch events',
        flag: 'objects',
        argument: 'FILE',
      }),
    ),
});

const count = (defaultValue: number, description: string): z.ZodDefault<z.ZodInt> =>
  z
    .int()
    .min(1)
    .max(10_000_000)
    .default(defaultValue)
    .meta(meta({ description, argument: 'N' }));

const storeSecret = (description: string) =>
  z
    .string()
    .transform((password) => new Secret(password))
    .optional()
    .meta(meta({ description, argument: 'PASSWORD', secret: true }));

const store = z
  .strictObject({
    url: z
      .string()
      .regex(STORE_URL)
      .transform((url) => new Secret(url)) // it may hold a password
      .optional()
      .meta(
        meta({
          description: 'where hosts are kept (default: embedded, in the state directory of the user)',
          flag: 'store',
          argument: 'URL',
          allowed:
            'embedded:///directory, redis://host:port/database, redis+sentinel://host:port,host:port/name or redis+cluster://host:port,host:port; with TLS rediss',
          secret: true,
        }),
      ),
    username: z
      .string()
      .min(1)
      .optional()
      .meta(meta({ description: 'user of the ACL of Redis, if the URL has none', argument: 'NAME' })),
    password: storeSecret('password of Redis, if the URL has none'),
    passwordFile: file('file with the password of Redis; read again at every attempt to connect'),
    sentinelUsername: z
      .string()
      .min(1)
      .optional()
      .meta(meta({ description: 'user of the sentinels, where they ask for one', argument: 'NAME' })),
    sentinelPassword: storeSecret('password of the sentinels, where they ask for one'),
    tlsCaFile: file('PEM file of the authorities that Redis may be certified by (default: those of Node)'),
    tlsCertFile: file('PEM file of the certificate that Redis asks for'),
    tlsKeyFile: file('PEM file of the key of that certificate'),
    tlsServerName: z
      .string()
      .regex(DOMAIN)
      .optional()
      .meta(meta({ description: 'name in the certificate of Redis, if it is not its address', argument: 'NAME' })),
    maxHosts: count(200_000, 'most hosts kept, whoever may come; beyond it look-ups only count'),
    maxHostsPerDomain: count(1000, 'most hosts kept of a registrable domain; beyond it they count together'),
  })
  .superRefine((settings, context) => {
    // Also called when the URL itself is wrong, and then it is still text.
    if (settings.url !== undefined && !(settings.url instanceof Secret)) return;
    for (const [key, message] of contradictions(settings)) context.addIssue({ code: 'custom', path: [key], message });
  });

/** Settings that would count for nothing, which must not look as if they did. */
function contradictions(
  settings: {
    readonly [key in 'tlsCaFile' | 'tlsCertFile' | 'tlsKeyFile' | 'tlsServerName' | 'passwordFile']?:
      string | undefined;
  } & { readonly url?: Secret | undefined; readonly password?: Secret | undefined },
): readonly (readonly [string, string])[] {
  const isTls = settings.url?.reveal().startsWith('rediss') === true;
  const found: (readonly [string, string])[] = [];
  for (const key of ['tlsCaFile', 'tlsCertFile', 'tlsKeyFile', 'tlsServerName'] as const) {
    if (settings[key] !== undefined && !isTls) found.push([key, 'only with a store.url that begins with rediss']);
  }
  if (settings.tlsKeyFile === undefined && settings.tlsCertFile !== undefined) {
    found.push(['tlsCertFile', 'only together with store.tlsKeyFile']);
  }
  if (settings.tlsCertFile === undefined && settings.tlsKeyFile !== undefined) {
    found.push(['tlsKeyFile', 'only together with store.tlsCertFile']);
  }
  if (settings.passwordFile !== undefined && settings.password !== undefined) {
    found.push(['passwordFile', 'not together with store.password']);
  }
  return found;
}

const observation = z.strictObject({
  clusterDomains: domains.default([]).meta(
    meta({
      description:
        'DNS domains of the cluster, the usual one first (default: found in the Corefile, resolv.conf and the traffic); below is internal',
      argument: 'DOMAIN',
    }),
  ),
  internalZones: domains.default([]).meta(meta({ description: 'further zones that are internal', argument: 'ZONE' })),
  searchDomains: domains.default([]).meta(
    meta({
      description: 'search domains that nodes add to pods; the rest is recognised from the traffic',
      argument: 'DOMAIN',
    }),
  ),
  clusterCidrs: z
    .array(z.union([z.cidrv4(), z.cidrv6()]))
    .default([])
    .meta(
      meta({
        description: 'pod and Service networks; a name that has only such addresses is internal',
        argument: 'CIDR',
      }),
    ),
  privateAddresses: z
    .enum(['external', 'internal'])
    .default('external')
    .meta(
      meta({
        description: 'whether a name that has only private addresses (RFC 1918, 6598, 4193) is outside the mesh',
        argument: 'WHERE',
      }),
    ),
  flushMs: z
    .int()
    .min(10)
    .max(60_000)
    .default(1000)
    .meta(meta({ description: 'how often observations go to the store', argument: 'MS' })),
  maxPairs: z
    .int()
    .min(1024)
    .max(16_777_216)
    .default(262_144)
    .meta(meta({ description: '(client, name) pairs kept in memory; the oldest go first', argument: 'N' })),
  maxHostsPerClient: count(10_000, 'most new hosts that one client address teaches in a day'),
});

const host = z.strictObject({
  policy: z
    .enum(['observe', 'learn', 'approve', 'frozen'])
    .default('learn')
    .meta(
      meta({
        description: 'observe writes nothing, learn writes at once, approve waits for a person, frozen adds nothing',
        argument: 'POLICY',
      }),
    ),
  stabilitySeconds: z
    .int()
    .min(0)
    .max(31_536_000)
    .default(0)
    .meta(meta({ description: 'how long a host must have been known before it is eligible', argument: 'SECONDS' })),
  expirySeconds: z
    .int()
    .min(60)
    .max(315_360_000)
    .default(2_592_000)
    .meta(
      meta({
        description: 'silence, counted only while somebody watched, after which a host is stale',
        argument: 'SECONDS',
      }),
    ),
  retireSeconds: z
    .int()
    .min(0)
    .max(315_360_000)
    .default(604_800)
    .meta(meta({ description: 'how much longer before the entries of a stale host go', argument: 'SECONDS' })),
  rules: z
    .array(z.string().min(1))
    .default([])
    .meta(
      meta({
        description: 'what to do with hosts, first match wins; repeatable; rules in the store come first',
        flag: 'rule',
        argument: 'RULE',
        allowed: 'allow, ignore, wildcard, port or namespace with a host, *.suffix or domain:example.com',
      }),
    ),
  maxHosts: count(100_000, 'most hosts; what came later is quarantined'),
  maxHostsPerDomain: count(500, 'most hosts of a registrable domain'),
  maxHostsPerNamespace: count(5000, 'most hosts that only one namespace uses'),
  maxHostsPerWorkload: count(1000, 'most hosts that only one workload uses'),
  wildcardChildren: z
    .int()
    .min(0)
    .max(10_000_000)
    .default(20)
    .meta(
      meta({
        description: 'hosts below one parent for which a wildcard is proposed, to be approved; 0: never',
        argument: 'N',
      }),
    ),
});

const istio = z.strictObject({
  owner: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
    .default('istio-discovery')
    .meta(
      meta({
        description: 'name of this installation; it changes only ServiceEntries that carry it in their owner label',
        argument: 'NAME',
      }),
    ),
  defaultNamespace: z
    .string()
    .regex(NAMESPACE)
    .default('default')
    .meta(
      meta({ description: 'namespace of the ServiceEntry when the client is no known pod', argument: 'NAMESPACE' }),
    ),
  exportTo: z
    .array(z.string().regex(/^(?:\.|\*|[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)$/))
    .min(1)
    .default(['.'])
    .meta(meta({ description: 'exportTo of each ServiceEntry', argument: 'NAMESPACE', allowed: '., * or namespaces' })),
  mode: z
    .enum(['namespace', 'central', 'classic'])
    .default('namespace')
    .meta(
      meta({
        description:
          'where ServiceEntries go: into each namespace that uses the host; into a central one, exported by name to those (or to all, with exportTo *); or, as in 2019, into `default` for everybody, with 443/HTTPS and 80/HTTP',
        argument: 'MODE',
      }),
    ),
  centralNamespace: z
    .string()
    .regex(NAMESPACE)
    .default('istio-system')
    .meta(
      meta({
        description: 'namespace of the mode central; the Sidecars of the clients have to import it',
        argument: 'NAMESPACE',
      }),
    ),
  ports: z
    .array(z.string().regex(PORT))
    .min(1)
    .default(['80/HTTP', '443/TLS'])
    .meta(
      meta({
        description: 'ports of a host of which nothing else is known; repeatable',
        argument: 'PORT',
        allowed: 'NUMBER/PROTOCOL with TLS, HTTPS, HTTP, HTTP2 or GRPC',
      }),
    ),
  tcpRanges: z
    .array(z.string().min(1))
    .default([])
    .meta(
      meta({
        description:
          'a host reached by TCP without TLS from its first byte (PostgreSQL, MySQL, SMTP, …) and the ranges of its addresses, wider than one address each: declared with these TCP ports instead of the usual ones; repeatable',
        argument: 'LINE',
        allowed: 'HOST PORT[,PORT…] CIDR[,CIDR…]',
      }),
    ),
  dnsCapture: z
    .boolean()
    .default(false)
    .meta(
      meta({
        description:
          'every proxy captures DNS and gives hosts addresses of their own (ISTIO_META_DNS_CAPTURE with Istio 1.25 or later, or ambient): needed for istio.dnsHosts',
      }),
    ),
  dnsHosts: z
    .array(z.string().min(1))
    .default([])
    .meta(
      meta({
        description:
          'a host that proxies resolve themselves (resolution DNS), and all its ports: a port that is left out breaks. From then on look-ups of the host say nothing about its use, so its entry does not expire. In a namespace with a waypoint (ambient egress) the only kind of entry that is written; repeatable',
        argument: 'LINE',
        allowed: 'HOST PORT/PROTOCOL[,…], with TCP, TLS, HTTP, HTTP2 or GRPC',
      }),
    ),
  dynamicDnsHosts: z
    .array(z.string().min(1))
    .default([])
    .meta(
      meta({
        description:
          'a wildcard that proxies resolve when used (resolution DYNAMIC_DNS, Istio 1.30 or later), with 80/HTTP and 443/TLS; it still has to be approved; repeatable',
        argument: 'WILDCARD',
        allowed: '*.DOMAIN',
      }),
    ),
  rootNamespace: z
    .string()
    .regex(NAMESPACE)
    .default('istio-system')
    .meta(
      meta({
        description: 'rootNamespace of the mesh: Sidecars and DestinationRules there stand for all namespaces',
        argument: 'NAMESPACE',
      }),
    ),
  meshExportTo: z
    .array(z.string().regex(/^(?:\.|\*|~|[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)$/))
    .min(1)
    .default(['*'])
    .meta(
      meta({
        description: "defaultServiceExportTo of the mesh: what others' ServiceEntries without exportTo mean",
        argument: 'NAMESPACE',
        allowed: '., *, ~ or namespaces',
      }),
    ),
});

const reconcile = z.strictObject({
  intervalMs: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(500)
    .meta(meta({ description: 'time between two runs, if nothing in the cluster changes', argument: 'MS' })),
  maxChanges: z
    .int()
    .min(1)
    .max(100_000)
    .default(1000)
    .meta(meta({ description: 'most ServiceEntries changed in one run; the rest waits for the next', argument: 'N' })),
  maxDeletions: z
    .int()
    .min(0)
    .max(100_000)
    .default(10)
    .meta(
      meta({ description: 'most ServiceEntries deleted in one run: a deletion closes connections', argument: 'N' }),
    ),
  maxDeletionShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .meta(
      meta({
        description: 'share of our ServiceEntries above which no deletion takes place unless confirmed',
        argument: 'SHARE',
      }),
    ),
  confirmDeletions: z
    .boolean()
    .default(false)
    .meta(meta({ description: 'a person has looked at the deletions: they may be more than the share' })),
  deleteAfterSeconds: z
    .int()
    .min(0)
    .max(31_536_000)
    .default(300)
    .meta(meta({ description: 'how long a deletion has to have been called for', argument: 'SECONDS' })),
  deleteAfterRuns: z
    .int()
    .min(1)
    .max(1000)
    .default(3)
    .meta(meta({ description: 'how many runs in a row have to have called for it (one with --once)', argument: 'N' })),
  maxEntries: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(50_000)
    .meta(meta({ description: 'most ServiceEntries of this installation', argument: 'N' })),
  maxEntriesPerNamespace: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(2000)
    .meta(
      meta({
        description: 'most of them in one namespace: each of their ports costs every proxy there about 30 kB',
        argument: 'N',
      }),
    ),
  maxWritesPerSecond: z
    .int()
    .min(1)
    .max(10_000)
    .default(20)
    .meta(
      meta({ description: 'ServiceEntries written or deleted a second: each is a push to its proxies', argument: 'N' }),
    ),
  onDeleted: z
    .enum(['restore', 'ignore'])
    .default('restore')
    .meta(
      meta({
        description:
          'what it means when somebody deletes one of our ServiceEntries: it is put right, or its host is ignored in all namespaces',
        argument: 'WHAT',
      }),
    ),
  leaderElection: z
    .boolean()
    .default(false)
    .meta(meta({ description: 'only the holder of the Lease writes (needed for more than one replica)' })),
});

const output = z.strictObject({
  target: z
    .enum(['auto', 'cluster', 'directory', 'kustomize', 'stdout'])
    .default('auto')
    .meta(
      meta({
        description:
          'where ServiceEntries go: into the cluster, into YAML files, into YAML files with a kustomization.yaml, or to the standard output (once); auto: into the directory if --output names one, else into the cluster if one is named or this is a pod of one',
        flag: 'target',
        argument: 'TARGET',
      }),
    ),
  directory: z
    .string()
    .min(1)
    .optional()
    .meta(
      meta({
        description: 'directory for YAML files, instead of the cluster',
        flag: 'output',
        argument: 'DIR',
      }),
    ),
});

const kubernetes = z.strictObject({
  namespaces: z
    .array(z.string().regex(NAMESPACE))
    .default([])
    .meta(
      meta({
        description: 'read and write only this namespace, which needs no rights in the whole cluster; repeatable',
        argument: 'NAMESPACE',
      }),
    ),
  kubeconfig: z
    .string()
    .min(1)
    .optional()
    .meta(meta({ description: 'kubeconfig file (default: as kubectl)', flag: 'kubeconfig', argument: 'FILE' })),
  context: z
    .string()
    .min(1)
    .optional()
    .meta(meta({ description: 'context of the kubeconfig', flag: 'context', argument: 'NAME' })),
  namespace: z
    .string()
    .regex(NAMESPACE)
    .optional()
    .meta(
      meta({
        description: 'namespace of this installation; `hosts`: only hosts used from it',
        flag: 'namespace',
        short: 'n',
        argument: 'NAMESPACE',
      }),
    ),
});

const install = z.strictObject({
  mode: z
    .enum(['collector', 'sidecar'])
    .default('collector')
    .meta(
      meta({
        description: 'collector: CoreDNS sends to a Service of ours; sidecar: to a container added to its pods',
        flag: 'mode',
        argument: 'MODE',
      }),
    ),
  service: z
    .string()
    .regex(NAMESPACE)
    .default('istio-discovery-collector')
    .meta(meta({ description: 'Service of the collector, in our own namespace', argument: 'NAME' })),
  redisService: z
    .string()
    .regex(NAMESPACE)
    .optional()
    .meta(
      meta({
        description:
          'Service whose address the sidecar gets as REDIS_ADDRESS: pods of the cluster DNS cannot look it up',
        argument: 'NAME',
      }),
    ),
  sidecar: z
    .string()
    .min(1)
    .optional()
    .meta(meta({ description: 'file with what sidecar mode adds to the pods of CoreDNS', argument: 'FILE' })),
  timeoutSeconds: z
    .int()
    .min(10)
    .max(3600)
    .default(240)
    .meta(
      meta({
        description: 'how long CoreDNS may take to read its Corefile, or to roll out, before it is all put back',
        argument: 'SECONDS',
      }),
    ),
});

const http = z.strictObject({
  address: z
    .string()
    .regex(HTTP_ADDRESS)
    .default('')
    .meta(
      meta({
        description: 'address for /metrics, /livez and /readyz; empty: none',
        argument: 'HOST:PORT',
        allowed: 'host:port, :port or empty',
      }),
    ),
});

const log = z.strictObject({
  level: z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('info')
    .meta(meta({ description: 'least level that is logged', argument: 'LEVEL' })),
  format: z
    .enum(['auto', 'json', 'text'])
    .default('auto')
    .meta(meta({ description: 'auto: text on a terminal, JSON elsewhere', argument: 'FORMAT' })),
});

/**
 * Every setting of the program, by section. Flags (`--dnstap-max-connections`), environment variables
 * (`ISTIO_DISCOVERY_DNSTAP_MAX_CONNECTIONS`), the file (`dnstap.maxConnections`) and the chart's values come from here.
 */
export const configurationSchema = z.strictObject({
  dnstap: dnstap.prefault({}),
  replay: replay.prefault({}),
  store: store.prefault({}),
  observation: observation.prefault({}),
  host: host.prefault({}),
  istio: istio.prefault({}),
  reconcile: reconcile.prefault({}),
  output: output.prefault({}),
  kubernetes: kubernetes.prefault({}),
  install: install.prefault({}),
  http: http.prefault({}),
  log: log.prefault({}),
});

export type SectionName = keyof typeof configurationSchema.shape;

type Parsed = z.output<typeof configurationSchema>;
type DeepReadonly<T> = T extends Secret
  ? Secret
  : T extends readonly (infer U)[]
    ? readonly U[]
    : T extends object
      ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T;

/** The settings after all sources were merged and checked. Secrets print as `[redacted]`. */
export type Configuration = DeepReadonly<Parsed>;
