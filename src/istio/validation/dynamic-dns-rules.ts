import type { Report } from './finding.js';
import { fitsDynamicDns } from './protocols.js';
import type { SpecView } from './spec-view.js';

const WAYPOINT_LABEL = 'istio.io/use-waypoint';

/** The proxy resolves the name of each request, so there is nothing else to say where it goes. */
export function checkDynamicDns(spec: SpecView, report: Report): void {
  if (spec.resolution !== 'DYNAMIC_DNS') return;
  for (const { value: host, path } of spec.hosts) {
    if (!host.startsWith('*')) report('dynamic-dns-host', path, `${host} is no wildcard`);
  }
  if (spec.addresses.length > 0) {
    report('dynamic-dns-addresses', ['spec', 'addresses'], 'resolution DYNAMIC_DNS cannot have addresses');
  }
  if ((spec.endpoints ?? []).length > 0) {
    report('dynamic-dns-endpoints', ['spec', 'endpoints'], 'resolution DYNAMIC_DNS cannot have endpoints');
  }
  for (const { protocol, path } of spec.ports) {
    if (fitsDynamicDns(protocol)) continue;
    report('dynamic-dns-protocol', path, 'resolution DYNAMIC_DNS takes HTTP, HTTP2, GRPC and TLS');
  }
  if (spec.location === 'MESH_INTERNAL' && usesWaypoint(spec)) {
    report('dynamic-dns-waypoint', ['spec', 'location'], 'MESH_INTERNAL with DYNAMIC_DNS cannot use a waypoint');
  }
}

function usesWaypoint({ labels }: SpecView): boolean {
  const waypoint = labels.get(WAYPOINT_LABEL) ?? '';
  return waypoint !== '' && waypoint.toLowerCase() !== 'none';
}
