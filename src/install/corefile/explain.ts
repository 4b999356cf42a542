import type { CorefileFindingCode } from './check-corefile.js';
import type { InsertCaution } from './insert-tap.js';
import type { CorefileFault } from './parser.js';
import type { InsertRefusal, Refused } from './survey.js';

/** What each refusal says. */
export const REFUSALS: Readonly<Record<InsertRefusal, string>> = {
  'corefile-unreadable': 'the Corefile cannot be read',
  'duplicate-tap': 'two taps with this endpoint are in one server block; remove one of them',
  'endpoint-has-blank': 'the endpoint has a blank, a quote, a brace or a # in it',
  'endpoint-not-an-address': 'the endpoint names a host; CoreDNS would look it up with the resolver of its node',
  'endpoint-path-too-long': 'the path of the socket is longer than 107 bytes',
  'endpoint-unreadable': 'the endpoint is neither unix:///path nor tcp://address:port nor tls://address:port',
  'key-unreadable': 'the key of a server block is not a zone with a port',
  'no-external-block': 'no server block in the file answers for names outside the cluster',
  'no-place':
    'there is no line between the directives of a server block to insert another; put each on a line of its own',
  'second-tap': 'another dnstap line is in the server block, and before CoreDNS 1.10.1 only the first works',
  'self-check': 'the result is not what it should be; please report this Corefile',
  'tap-in-import': 'a tap with this endpoint is in an imported file, and is not as it should be; change it there',
  'tls-not-known': 'this CoreDNS knows no tls://; 1.11.0 is the first',
  'version-too-old':
    'this CoreDNS may wait for ever at its start, without serving DNS; 1.8.1 is the first that does not',
  'version-unreadable': 'the version of CoreDNS is not like 1.11.3',
};

const FAULTS: Readonly<Record<CorefileFault, string>> = {
  brace: 'a brace is where none may be',
  comma: 'a comma is in front of a brace',
  'end-of-file': 'a block is open at the end',
  import: 'import takes one argument',
  'import-loop': 'imports go round in a circle',
  'snippet-twice': 'a snippet is defined twice',
};

const CAUTIONS: Readonly<Record<InsertCaution, string>> = {
  'block-in-import': 'a server block in an imported file gets no tap; its names are not learnt',
  'extra-left-out': 'this CoreDNS knows no extra; 1.11.1 is the first',
  'extra-needs-metadata': 'extra stays empty in a server block without the metadata plugin',
  'import-unknown': 'a tap in an imported file would not be seen here',
  'listen-first':
    'start the receiver first: a CoreDNS that finds nobody listening connects only after a second without queries',
  'no-reload': 'there is no reload plugin: restart the pods of CoreDNS',
  'only-tap': 'only the first dnstap line of a server block works',
  'tls-trust':
    'the certificate must name this address, and be of an authority that the container of CoreDNS trusts (SSL_CERT_FILE)',
};

const FINDINGS: Readonly<Record<CorefileFindingCode, string>> = {
  'block-in-import': 'this server block is in an imported file, and is not changed',
  'import-unknown': 'what this imports is not known',
  'no-reload': 'no reload plugin: CoreDNS reads a change only when its pods are restarted',
  'other-tap': 'a tap with another endpoint; it does no harm',
  'second-tap': 'before CoreDNS 1.10.1 only the first tap of a server block works',
  'tap-absent': 'no tap with the endpoint',
  'tap-listening': 'a tap that waits for connections: a slow client of it can block DNS',
  'tap-misplaced': 'inside the block of another plugin, where CoreDNS does not read it as a tap',
  'tap-not-full': 'not full: its messages hold no names',
  'tap-twice': 'a second tap with the endpoint: every query comes twice',
};

/** A refusal in words, with its line. */
export function explainRefusal({ refused, line, problem }: Refused): string {
  const at = line === undefined ? '' : `line ${line}: `;
  return `${at}${REFUSALS[refused]}${problem === undefined ? '' : `: ${FAULTS[problem.fault]}`}`;
}

export function explainCaution(caution: InsertCaution): string {
  return CAUTIONS[caution];
}

export function explainFinding(code: CorefileFindingCode): string {
  return FINDINGS[code];
}
