import type { FindingCode } from './finding.js';
import type { Schema } from './schema.js';

const MAX_UINT32 = 4_294_967_295;

const text: Schema = { type: 'text' };
const textUpTo = (max: number): Schema => ({ type: 'text', max });
const listOf = (items: Schema, max?: number): Schema => ({ type: 'list', items, ...(max !== undefined && { max }) });
const mapOf = (values: Schema, max?: number): Schema => ({ type: 'map', values, ...(max !== undefined && { max }) });
const object = (fields: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema => ({
  type: 'object',
  fields,
  required,
});
const oneOf = (code: FindingCode, values: readonly string[]): Schema => ({ type: 'text', oneOf: values, code });

export const RESOLUTIONS = ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'] as const;

/** `maximum` of the schema is 4294967295, but a rule of the CRD narrows it. */
const portNumber: Schema = { type: 'integer', min: 1, max: 65_535, code: 'port-number' };

const port = object({ name: textUpTo(256), number: portNumber, protocol: textUpTo(256), targetPort: portNumber }, [
  'number',
  'name',
]);

const endpoint = object({
  address: textUpTo(256),
  labels: mapOf(text, 256),
  locality: textUpTo(2048),
  network: textUpTo(2048),
  ports: mapOf(portNumber, 128),
  serviceAccount: textUpTo(253),
  weight: { type: 'integer', min: 0, max: MAX_UINT32, code: 'endpoint-weight' },
});

const spec = object(
  {
    addresses: listOf(textUpTo(64), 256),
    endpoints: listOf(endpoint, 4096),
    exportTo: listOf(text),
    hosts: listOf(text, 256),
    location: oneOf('location', ['MESH_EXTERNAL', 'MESH_INTERNAL']),
    ports: listOf(port, 256),
    resolution: oneOf('resolution', RESOLUTIONS),
    subjectAltNames: listOf(text),
    workloadSelector: object({ labels: mapOf(textUpTo(63), 256) }),
  },
  ['hosts'],
);

/** What the API server takes in any object's metadata; what it sets itself is passed over. */
const metadata = object({
  annotations: mapOf(text),
  creationTimestamp: { type: 'anything' },
  deletionGracePeriodSeconds: { type: 'anything' },
  deletionTimestamp: { type: 'anything' },
  finalizers: listOf(text),
  generateName: text,
  generation: { type: 'anything' },
  labels: mapOf(text),
  managedFields: { type: 'anything' },
  name: text,
  namespace: text,
  ownerReferences: { type: 'anything' },
  resourceVersion: text,
  selfLink: text,
  uid: text,
});

/**
 * The structural schema of ServiceEntry, of the strictest version (1.24 and later).
 *
 * @see istio/api kubernetes/customresourcedefinitions.gen.yaml
 */
export const SERVICE_ENTRY_SCHEMA = object(
  { apiVersion: text, kind: text, metadata, spec, status: { type: 'anything' } },
  ['apiVersion', 'kind', 'metadata', 'spec'],
);
