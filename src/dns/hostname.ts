/**
 * A DNS name that can stand as a host in an Istio ServiceEntry: lower case, A-labels, no trailing dot, at least two
 * labels, no underscore, last label not all digits, at most 253 characters.
 *
 * Obtained only from {@link parseHostname}; trust the type afterwards.
 */
export type Hostname = string & { readonly __brand: 'Hostname' };

/** Why a DNS name is no {@link Hostname}. */
export const HOSTNAME_REJECTIONS = [
  'root',
  'single-label',
  'too-long',
  'ip-literal',
  'underscore',
  'numeric-top-label',
  'not-rfc1123',
] as const;
export type HostnameRejection = (typeof HOSTNAME_REJECTIONS)[number];

const MAX_HOSTNAME_CHARACTERS = 253; // RFC 1035 section 2.3.4: 255 octets on the wire
const MAX_LABEL_CHARACTERS = 63; // RFC 1035 section 2.3.4
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/; // RFC 1123 section 2.1
const DIGITS = /^[0-9]+$/;
const IPV4 = /^[0-9]{1,3}(?:\.[0-9]{1,3}){3}$/;

/**
 * Parses a name in presentation form (RFC 1035 section 5.1; case and one trailing dot do not matter).
 *
 * @see RFC 1123 section 2.1 for the label syntax, and `pkg/config/validation/agent/validation.go` in istio/istio for what
 * Istio takes as a host.
 */
export function parseHostname(name: string): Hostname | { readonly skipped: HostnameRejection } {
  const text = (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  const skipped = rejectionOf(text);
  // The checks in rejectionOf are what the brand stands for.
  return skipped === undefined ? (text as Hostname) : { skipped };
}

function rejectionOf(text: string): HostnameRejection | undefined {
  if (text === '') return 'root';
  if (text.length > MAX_HOSTNAME_CHARACTERS) return 'too-long';
  if (text.includes(':') || IPV4.test(text)) return 'ip-literal';
  const labels = text.split('.');
  if (labels.some((label) => label.includes('_'))) return 'underscore';
  if (!labels.every((label) => label.length <= MAX_LABEL_CHARACTERS && LABEL.test(label))) return 'not-rfc1123';
  if (labels.length < 2) return 'single-label';
  return DIGITS.test(labels[labels.length - 1] ?? '') ? 'numeric-top-label' : undefined;
}
