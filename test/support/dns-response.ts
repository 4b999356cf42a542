import { encode, type Answer, type RecordType } from 'dns-packet';
import type { ResponseView } from '../../src/observation/response-view.js';

/** A response as a test states it. `answers` are `owner type data [ttl]`. */
export interface ResponseText {
  readonly name: string;
  readonly type?: RecordType;
  readonly client?: string;
  readonly rcode?: number;
  readonly answers?: readonly string[];
  readonly extra?: string;
  readonly truncated?: boolean;
  /** 0 unless told: not known. */
  readonly port?: number;
  readonly id?: number;
}

const TTL_SECONDS = 60;

/** The wire form of a response, made by dns-packet. */
export function encodeResponse({
  name,
  type = 'A',
  rcode = 0,
  answers = [],
  truncated = false,
  id = 1,
}: ResponseText): Buffer {
  return encode({
    type: 'response',
    id,
    flags: (truncated ? 0x0200 : 0) | 0x0100 | rcode,
    questions: [{ type, name, class: 'IN' }],
    answers: answers.map(parseAnswer),
  });
}

function parseAnswer(text: string): Answer {
  const [name = '', type = 'A', data = '', ttl] = text.split(' ');
  // The test states types that dns-packet knows.
  return { name, type, class: 'IN', ttl: ttl === undefined ? TTL_SECONDS : Number(ttl), data } as Answer;
}

/** A response as the table sees it, with its parts in one buffer. */
export function responseView(response: ResponseText, queryTimeMs = 0): ResponseView {
  const address = Buffer.from((response.client ?? '10.244.0.7').split('.').map(Number));
  const message = encodeResponse(response);
  const extra = Buffer.from(response.extra ?? '');
  return {
    queryTimeSec: queryTimeMs > 0 ? Math.floor(queryTimeMs / 1000) : -1,
    queryTimeNsec: (queryTimeMs % 1000) * 1_000_000,
    responseTimeSec: -1,
    responseTimeNsec: -1,
    buffer: Buffer.concat([address, message, extra]),
    queryAddressStart: 0,
    queryAddressLength: address.length,
    queryPort: response.port ?? 0,
    responseMessageStart: address.length,
    responseMessageLength: message.length,
    extraStart: address.length + message.length,
    extraLength: extra.length,
  };
}
