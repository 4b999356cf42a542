import { checkCorefile, type CorefileCheck, type CorefileFinding, isFault } from './corefile/check-corefile.js';
import { explainRefusal } from './corefile/explain.js';
import { insertTap } from './corefile/insert-tap.js';
import type { CorefileContext } from './corefile/survey.js';
import type { ClusterDns } from './detect-cluster-dns.js';
import { corefileFinding, type DoctorFinding, finding } from './doctor-findings.js';

/** The Corefile to tap, looked at. */
export interface LiveCheck {
  readonly blocks: CorefileCheck['blocks'];
  readonly findings: readonly DoctorFinding[];
}

/** Whether a Corefile takes a tap does not depend on where the tap goes. */
export const ANY_ENDPOINT = 'unix:///run/istio-discovery/dnstap.sock';

/**
 * Looks at the Corefile that is to be tapped, or, with an endpoint, should be. Before installation a missing tap is what is
 * expected; a Corefile that would be refused is not.
 */
export function checkLiveCorefile(dns: ClusterDns, endpoint: string | undefined): LiveCheck | undefined {
  if (dns.corefile === undefined) return undefined;
  const { text } = dns.corefile;
  const context = corefileContext(dns);
  const check = checkCorefile(text, { ...context, ...(endpoint !== undefined && { endpoint }) });
  if ('refused' in check) return { blocks: [], findings: [finding('corefile-refused', explainRefusal(check))] };
  const refused = refusalOf(text, { ...context, endpoint: endpoint ?? ANY_ENDPOINT });
  const findings = check.findings.map((each) => describeFinding(each, endpoint !== undefined));
  return { blocks: check.blocks, findings: refused === undefined ? findings : [...findings, refused] };
}

function refusalOf(text: string, options: Parameters<typeof insertTap>[1]): DoctorFinding | undefined {
  const result = insertTap(text, options);
  // What is wrong with the version is told apart.
  const isTold = 'refused' in result && result.refused.startsWith('version-');
  return 'refused' in result && !isTold ? finding('corefile-refused', explainRefusal(result)) : undefined;
}

/** Taps of others are theirs to repair: for us they are only to be known, unless DNS is in danger. */
function describeFinding(found: CorefileFinding, isTapped: boolean): DoctorFinding {
  const { code, subject, line, file } = found;
  const at = [file, line === undefined ? undefined : `line ${line}`, subject].filter(Boolean).join(', ');
  const warning = isFault(found) || code === 'no-reload' || code === 'block-in-import' ? 'warning' : 'note';
  const severity = isTapped && (code === 'tap-absent' || code === 'second-tap') ? 'problem' : warning;
  return corefileFinding(code, severity, at === '' ? undefined : at);
}

/** What is known of the CoreDNS that reads it. */
export function corefileContext({ version, corefile }: ClusterDns): Omit<CorefileContext, 'endpoint'> {
  const { files = new Map(), directories = [], environment = new Map() } = corefile ?? {};
  return { files, directories, environment, ...(version !== undefined && { version }) };
}

/** Whether the tap is missing that should be there. */
export function isTapAbsent(check: LiveCheck | undefined): boolean {
  return check === undefined || check.findings.some(({ code }) => code === 'tap-absent' || code === 'corefile-refused');
}
