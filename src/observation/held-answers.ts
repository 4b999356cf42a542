import type { ResponseView } from './response-view.js';

/**
 * Answers that wait, whole, for what else the client asked: CoreDNS sends each server block's messages over a connection
 * of its own and flushes it every second, so a step of a walk can arrive after the answer that ends it.
 *
 * @see coredns/coredns plugin/dnstap/io.go
 */
export interface HeldAnswers {
  /** False when there is no room. */
  hold(response: ResponseView, atMs: number): boolean;
  /** Takes out what has waited long enough at `nowMs`, or all. */
  take(options: { readonly nowMs: number; readonly all: boolean }): readonly ResponseView[];
  size(): number;
}

const HOLD_MS = 3000;
const MAX_HELD = 4096;
const MAX_HELD_OCTETS = 4 * 1024 * 1024;

export function createHeldAnswers(): HeldAnswers {
  let held: { readonly response: ResponseView; readonly atMs: number }[] = [];
  let octets = 0;
  return {
    hold(response, atMs) {
      const size = response.queryAddressLength + response.responseMessageLength + response.extraLength;
      if (held.length === MAX_HELD || octets + size > MAX_HELD_OCTETS) return false;
      held.push({ response: copyResponse(response), atMs });
      octets += size;
      return true;
    },
    take({ nowMs, all }) {
      if (held.length === 0) return [];
      const isDue = ({ atMs }: { readonly atMs: number }): boolean => all || nowMs - atMs > HOLD_MS;
      const due = held.filter(isDue);
      held = held.filter((one) => !isDue(one));
      octets = held.reduce((sum, { response }) => sum + response.buffer.length, 0);
      return due.map(({ response }) => response);
    },
    size: () => held.length,
  };
}

/** The parts that are read, in a buffer of their own: the receiver's is written over by the next frames. */
function copyResponse(response: ResponseView): ResponseView {
  const { buffer, queryAddressStart, queryAddressLength, extraStart, extraLength } = response;
  const { responseMessageStart, responseMessageLength } = response;
  const part = (start: number, length: number): Uint8Array => buffer.subarray(start, start + length);
  return {
    queryTimeSec: response.queryTimeSec,
    queryTimeNsec: response.queryTimeNsec,
    responseTimeSec: response.responseTimeSec,
    responseTimeNsec: response.responseTimeNsec,
    buffer: Buffer.concat([
      part(queryAddressStart, queryAddressLength),
      part(responseMessageStart, responseMessageLength),
      part(extraStart, extraLength),
    ]),
    queryAddressStart: 0,
    queryAddressLength,
    queryPort: response.queryPort,
    responseMessageStart: queryAddressLength,
    responseMessageLength,
    extraStart: queryAddressLength + responseMessageLength,
    extraLength,
  };
}
