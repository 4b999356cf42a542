import { checkAddresses } from './address-rules.js';
import { checkDynamicDns } from './dynamic-dns-rules.js';
import { checkEndpoints } from './endpoint-rules.js';
import { checkExportTo } from './export-to-rules.js';
import { FINDINGS, type Finding, type Report } from './finding.js';
import { checkHosts } from './host-rules.js';
import { checkMetadata } from './metadata-rules.js';
import { checkPorts } from './port-rules.js';
import { checkSchema, isRecord } from './schema.js';
import { SERVICE_ENTRY_SCHEMA } from './service-entry-schema.js';
import { viewSpec } from './spec-view.js';

/**
 * Everything that the CRD, istiod's webhook or this program has to say about a ServiceEntry, in the order of the fields.
 * Takes any value, such as one parsed from a file. Where a field has the wrong type, the other fields are still checked.
 *
 * The rules are those of the strictest supported Istio: the CRD of 1.24 and later, and the webhook of 1.31.
 *
 * @see `ValidateServiceEntry` in istio/istio pkg/config/validation/validation.go
 */
export function validateServiceEntry(value: unknown): readonly Finding[] {
  const findings: Finding[] = [];
  const report: Report = (code, path, message) => findings.push({ code, ...FINDINGS[code], path, message });
  checkSchema(value, SERVICE_ENTRY_SCHEMA, [], report);
  if (!isRecord(value)) return findings;
  checkMetadata(value, report);
  const spec = viewSpec(value);
  const { hosts } = isRecord(value['spec']) ? value['spec'] : {};
  if (Array.isArray(hosts) && hosts.length === 0) report('hosts-empty', ['spec', 'hosts'], 'there is no host');
  for (const check of [checkHosts, checkAddresses, checkPorts, checkEndpoints, checkExportTo, checkDynamicDns]) {
    check(spec, report);
  }
  return findings;
}
