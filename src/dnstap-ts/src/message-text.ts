import { formatAddress } from './address.js';
import { type DnsSummary, rcodeName, readName, summarizeDns } from './dns-summary.js';
import { type Dnstap, type Message, type Policy, unixNanoseconds } from './dnstap-message.js';
import {
  DnstapType,
  HttpProtocol,
  kindName,
  MessageType,
  PolicyAction,
  PolicyMatch,
  SocketFamily,
  SocketProtocol,
} from './message-kinds.js';

const NANOSECONDS_PER_SECOND = 1_000_000_000n;
const MAX_DATE_SECONDS = 253_402_300_799n; // the end of the year 9999; a Date shows no later ones in four digits

/** Unix time as RFC 3339 with nine decimals, in UTC; later than the year 9999 as a plain number of seconds. */
export function formatTime(
  seconds: bigint | null | undefined,
  nanoseconds: number | null | undefined,
): string | undefined {
  const time = unixNanoseconds(seconds, nanoseconds);
  if (time === undefined) return undefined;
  const whole = time / NANOSECONDS_PER_SECOND;
  const fraction = String(time % NANOSECONDS_PER_SECOND).padStart(9, '0');
  if (whole > MAX_DATE_SECONDS) return `${whole}.${fraction}`;
  return `${new Date(Number(whole) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/**
 * One line for people:
 *
 * `2026-11-23T10:02:21.581291970Z CLIENT_RESPONSE 127.0.0.1:51068 > - UDP 50b NOERROR x.t.test. IN A`
 *
 * time, type, initiator, responder, protocol, size of the DNS message, rcode of a response, question; `-` is absent.
 */
export function dnstapToLine(dnstap: Dnstap): string {
  const { message } = dnstap;
  if (!message) return `- ${kindName(DnstapType, dnstap.type)} without message`;
  const bytes = wireMessage(message);
  const summary = bytes ? summarizeDns(bytes) : undefined;
  return [
    messageTime(message) ?? '-',
    kindName(MessageType, message.type),
    formatPeer(message.queryAddress, message.queryPort),
    '>',
    formatPeer(message.responseAddress, message.responsePort),
    message.socketProtocol ? kindName(SocketProtocol, message.socketProtocol) : '-',
    bytes ? `${bytes.length}b` : '-',
    formatSummary(summary),
  ].join(' ');
}

/** A YAML document, without the `---` between documents. */
export function dnstapToYaml(dnstap: Dnstap): string {
  const lines = fields('', [
    ['type', kindName(DnstapType, dnstap.type)],
    ['identity', bytesText(dnstap.identity)],
    ['version', bytesText(dnstap.version)],
    ['extra', bytesText(dnstap.extra)],
  ]);
  if (dnstap.message) lines.push('message:', ...messageYaml(dnstap.message));
  return `${lines.join('\n')}\n`;
}

function messageYaml(message: Message): string[] {
  const lines = fields('  ', [
    ['type', kindName(MessageType, message.type)],
    ['query_time', formatTime(message.queryTimeSec, message.queryTimeNsec)],
    ['response_time', formatTime(message.responseTimeSec, message.responseTimeNsec)],
    ['socket_family', kindText(SocketFamily, message.socketFamily)],
    ['socket_protocol', kindText(SocketProtocol, message.socketProtocol)],
    ['http_protocol', kindText(HttpProtocol, message.httpProtocol)],
    ['query_address', addressText(message.queryAddress)],
    ['response_address', addressText(message.responseAddress)],
    ['query_port', message.queryPort?.toString()],
    ['response_port', message.responsePort?.toString()],
    ['query_zone', zoneText(message.queryZone)],
  ]);
  if (message.policy) lines.push('  policy:', ...policyYaml(message.policy));
  if (message.queryMessage) lines.push('  query_message:', ...dnsYaml(message.queryMessage));
  if (message.responseMessage) lines.push('  response_message:', ...dnsYaml(message.responseMessage));
  return lines;
}

function policyYaml(policy: Policy): string[] {
  return fields('    ', [
    ['type', policy.type === null || policy.type === undefined ? undefined : JSON.stringify(policy.type)],
    ['rule', hexText(policy.rule)],
    ['action', kindText(PolicyAction, policy.action)],
    ['match', kindText(PolicyMatch, policy.match)],
    ['value', hexText(policy.value)],
  ]);
}

function dnsYaml(bytes: Uint8Array): string[] {
  const summary = summarizeDns(bytes);
  const lines: [string, string | undefined][] = [['size', String(bytes.length)]];
  if (summary !== undefined) {
    const { id, opcode, rcode, flags, counts, question } = summary;
    lines.push(['id', String(id)], ['opcode', String(opcode)], ['rcode', rcodeName(rcode)]);
    lines.push(['flags', `[${flags.join(', ')}]`], ['counts', `[${counts.join(', ')}]`]);
    if (question) lines.push(['question', JSON.stringify(`${question.name} ${question.class} ${question.type}`)]);
  }
  lines.push(['bytes', hexText(bytes)]);
  return fields('    ', lines);
}

function fields(indent: string, values: readonly (readonly [name: string, text: string | undefined])[]): string[] {
  const present = values.filter(([, text]) => text !== undefined);
  return present.map(([name, text]) => `${indent}${name}: ${text}`);
}

function messageTime(message: Message): string | undefined {
  return (
    formatTime(message.responseTimeSec, message.responseTimeNsec) ??
    formatTime(message.queryTimeSec, message.queryTimeNsec)
  );
}

function wireMessage(message: Message): Uint8Array | undefined {
  return (message.responseMessage?.length ? message.responseMessage : message.queryMessage) ?? undefined;
}

function formatPeer(address: Uint8Array | null | undefined, port: number | null | undefined): string {
  const text = address ? formatAddress(address) : '';
  if (text === '') return '-';
  return `${text.includes(':') ? `[${text}]` : text}:${port ?? '-'}`;
}

function formatSummary(summary: DnsSummary | undefined): string {
  if (summary === undefined) return '-';
  const { question } = summary;
  const text = question ? `${question.name} ${question.class} ${question.type}` : '-';
  return summary.response ? `${rcodeName(summary.rcode)} ${text}` : text;
}

function kindText(kinds: Readonly<Record<string, number>>, value: number | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : kindName(kinds, value);
}

function addressText(address: Uint8Array | null | undefined): string | undefined {
  if (!address) return undefined;
  const text = formatAddress(address);
  return JSON.stringify(text === '' ? Buffer.from(address).toString('hex') : text);
}

function zoneText(zone: Uint8Array | null | undefined): string | undefined {
  if (!zone) return undefined;
  return JSON.stringify(readName(zone, 0)?.text ?? Buffer.from(zone).toString('hex'));
}

function hexText(bytes: Uint8Array | null | undefined): string | undefined {
  return bytes ? JSON.stringify(Buffer.from(bytes).toString('hex')) : undefined;
}

/** Text if it is printable text, else hex. JSON strings are YAML strings. */
function bytesText(bytes: Uint8Array | null | undefined): string | undefined {
  if (!bytes) return undefined;
  const text = Buffer.from(bytes).toString('utf8');
  const printable = !text.includes('\ufffd') && !/[\p{Cc}\p{Cs}]/u.test(text.replaceAll('\n', ''));
  return printable ? JSON.stringify(text) : hexText(bytes);
}
