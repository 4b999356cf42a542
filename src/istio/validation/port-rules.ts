import { isReservedPort } from '../reserved-ports.js';
import { isLabel } from './domain-syntax.js';
import type { Report } from './finding.js';
import { isHttp, isKnown, isTcp, isTls } from './protocols.js';
import type { PortView, SpecView } from './spec-view.js';

const AUTOALLOCATE_LABEL = 'networking.istio.io/enable-autoallocate-ip';

export function checkPorts(spec: SpecView, report: Report): void {
  const names = new Set<string>();
  const numbers = new Set<number>();
  for (const port of spec.ports) {
    checkPort(port, report);
    checkCatchAll(port, spec, report);
    const isTwice = (port.name !== undefined && names.has(port.name)) || numbers.has(port.number ?? NaN);
    if (isTwice) report('port-duplicate', port.path, 'its name or number is there before');
    if (port.name !== undefined) names.add(port.name);
    if (port.number !== undefined) numbers.add(port.number);
  }
}

function checkPort({ path, name, number, protocol }: PortView, report: Report): void {
  if (name !== undefined && !isLabel(name)) {
    report('port-name', [...path, 'name'], `${JSON.stringify(name)} is no RFC 1123 label`);
  }
  if (protocol !== '' && !isKnown(protocol)) {
    report('port-protocol', [...path, 'protocol'], `${protocol} is no protocol that Istio knows`);
  }
  if (number === undefined) return;
  if (isReservedPort(number)) {
    report('port-reserved', [...path, 'number'], `${number} is the proxy's own: pods would lose their egress`);
  }
  if ((number === 443 && isHttp(protocol)) || (number === 80 && isTls(protocol))) {
    report(
      'port-protocol-unusual',
      [...path, 'protocol'],
      `${protocol} on ${number} blocks this host once egress is closed`,
    );
  }
}

/**
 * A port that takes whatever comes needs an address to be matched by: its own, or one that Istio allocates. With NONE it
 * allocates none, so the port is opened to every address. Otherwise only a proxy that captures DNS uses that address; at
 * any other the entry takes the port's traffic of every host.
 */
function checkCatchAll({ path, protocol }: PortView, spec: SpecView, report: Report): void {
  const matchesNoName = protocol === '' || (isTcp(protocol) && !isTls(protocol));
  if (!matchesNoName || spec.addresses.length > 0) return;
  const optsOut = spec.labels.get(AUTOALLOCATE_LABEL)?.toLowerCase() === 'false';
  const isAllocated = spec.resolution !== 'NONE' && !optsOut;
  if (isAllocated) {
    report('port-open-without-capture', path, 'a proxy that does not capture DNS sends the traffic of every host here');
  } else {
    // istiod looks for exactly these two.
    const code = protocol === '' || protocol === 'TCP' ? 'port-tcp-without-addresses' : 'port-open-to-all';
    report(code, path, 'without addresses the port takes the traffic of every host');
  }
}
