import { SERVICE_ENTRY_GROUP, SERVED_API_VERSIONS } from '../service-entry.js';
import { isLabelKey, isLabelValue } from './domain-syntax.js';
import type { Report } from './finding.js';
import { isRecord } from './schema.js';

const SUBDOMAIN = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_NAME_CHARACTERS = 253;
const MAX_LABEL_VALUE_CHARACTERS = 63;
const MAX_ANNOTATIONS_BYTES = 262_144; // keys and values together

/**
 * What the API server asks of every object.
 *
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
 */
export function checkMetadata(object: Readonly<Record<string, unknown>>, report: Report): void {
  const { apiVersion, metadata } = object;
  if (typeof apiVersion === 'string' && !SERVED_API_VERSIONS.includes(apiVersion)) {
    report('api-version', ['apiVersion'], `${apiVersion} is no version of ${SERVICE_ENTRY_GROUP} that Istio serves`);
  }
  if (!isRecord(metadata)) return;
  checkName(metadata, report);
  const { namespace, labels, annotations } = metadata;
  if (typeof namespace === 'string' && namespace !== '' && !NAMESPACE.test(namespace)) {
    report('metadata-namespace', ['metadata', 'namespace'], `${JSON.stringify(namespace)} is no RFC 1123 label`);
  }
  if (isRecord(labels)) checkLabels(labels, report);
  if (isRecord(annotations)) checkAnnotations(annotations, report);
}

function checkName({ name, generateName }: Readonly<Record<string, unknown>>, report: Report): void {
  const given = name === undefined || name === '' ? generateName : name;
  if (given === undefined || given === '') {
    return report('metadata-name', ['metadata'], 'neither name nor generateName is set');
  }
  if (typeof given !== 'string') return; // the schema says so
  // The API server adds letters to generateName, so a hyphen or dot may end it.
  const whole = given === generateName && given !== name ? `${given}x` : given;
  if (whole.length > MAX_NAME_CHARACTERS || !SUBDOMAIN.test(whole)) {
    report('metadata-name', ['metadata', 'name'], `${JSON.stringify(given)} is no RFC 1123 subdomain`);
  }
}

function checkLabels(labels: Readonly<Record<string, unknown>>, report: Report): void {
  for (const [key, value] of Object.entries(labels)) {
    const path = ['metadata', 'labels', key];
    if (!isLabelKey(key)) report('metadata-label', path, `${JSON.stringify(key)} is no key of a label`);
    if (typeof value !== 'string') continue;
    if (value.length > MAX_LABEL_VALUE_CHARACTERS || !isLabelValue(value)) {
      report('metadata-label', path, `${JSON.stringify(value)} is no value of a label`);
    }
  }
}

function checkAnnotations(annotations: Readonly<Record<string, unknown>>, report: Report): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    if (!isLabelKey(key)) {
      report('metadata-annotation', ['metadata', 'annotations', key], `${JSON.stringify(key)} is no key`);
    }
    if (typeof value === 'string') bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_ANNOTATIONS_BYTES) {
    report('metadata-annotation', ['metadata', 'annotations'], `${bytes} bytes, more than ${MAX_ANNOTATIONS_BYTES}`);
  }
}
