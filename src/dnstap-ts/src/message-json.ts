import { formatAddress } from './address.js';
import type { Dnstap, Message, Policy } from './dnstap-message.js';

/** A frame as JSON shows it; absent fields are left out. */
export interface DnstapJson {
  readonly [field: string]: number | string | readonly string[] | DnstapJson;
}

type Value = DnstapJson[string] | undefined;

/**
 * A frame with the schema's own field names: bytes as lower-case hex, `*_time_sec` as decimal text (they have 64 bits),
 * enumerations as numbers, and beside the address octets `query_ip` and `response_ip` as text. Fields that the schema of
 * this package does not know are in `unknown_fields`, tag included, as hex.
 */
export function dnstapToJson(dnstap: Dnstap): DnstapJson {
  return compact({
    identity: hex(dnstap.identity),
    version: hex(dnstap.version),
    extra: hex(dnstap.extra),
    message: dnstap.message ? messageToJson(dnstap.message) : undefined,
    type: dnstap.type,
    unknown_fields: unknownFields(dnstap.$unknowns),
  });
}

function messageToJson(message: Message): DnstapJson {
  return compact({
    type: message.type,
    socket_family: number(message.socketFamily),
    socket_protocol: number(message.socketProtocol),
    query_address: hex(message.queryAddress),
    query_ip: ip(message.queryAddress),
    response_address: hex(message.responseAddress),
    response_ip: ip(message.responseAddress),
    query_port: number(message.queryPort),
    response_port: number(message.responsePort),
    query_time_sec: message.queryTimeSec?.toString(),
    query_time_nsec: number(message.queryTimeNsec),
    query_message: hex(message.queryMessage),
    query_zone: hex(message.queryZone),
    response_time_sec: message.responseTimeSec?.toString(),
    response_time_nsec: number(message.responseTimeNsec),
    response_message: hex(message.responseMessage),
    policy: message.policy ? policyToJson(message.policy) : undefined,
    http_protocol: number(message.httpProtocol),
    unknown_fields: unknownFields(message.$unknowns),
  });
}

function policyToJson(policy: Policy): DnstapJson {
  return compact({
    type: policy.type ?? undefined,
    rule: hex(policy.rule),
    action: number(policy.action),
    match: number(policy.match),
    value: hex(policy.value),
    unknown_fields: unknownFields(policy.$unknowns),
  });
}

function compact(fields: Readonly<Record<string, Value>>): DnstapJson {
  const present: Record<string, Exclude<Value, undefined>> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) present[name] = value;
  }
  return present;
}

function number(value: number | null | undefined): number | undefined {
  return value ?? undefined;
}

function hex(bytes: Uint8Array | null | undefined): string | undefined {
  return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex') : undefined;
}

function ip(address: Uint8Array | null | undefined): string | undefined {
  const text = address ? formatAddress(address) : '';
  return text === '' ? undefined : text;
}

function unknownFields(fields: readonly Uint8Array[] | undefined): readonly string[] | undefined {
  return fields?.map((field) => hex(field) ?? '');
}
