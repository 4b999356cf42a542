import { DnstapView, MessageType } from 'dnstap-ts';
import type { ObservationTable } from '../observation/observation-table.js';

/** Takes one dnstap frame; the bytes are read only during the call. */
export type FrameIntake = (buffer: Uint8Array, start: number, end: number) => void;

/**
 * The hot path: a frame's CLIENT_RESPONSE goes into the table. Other messages are passed over: CLIENT_RESPONSE alone has
 * the question, the answer, the client and the times, and counting another as well would count a look-up twice.
 *
 * The time is the query's, since a response can arrive when the client's address already belongs to another pod; some
 * servers send only the response's; `nowMs` is asked when there is neither.
 */
export function createFrameIntake(table: ObservationTable, nowMs: () => number): FrameIntake {
  const view = new DnstapView({ only: MessageType.CLIENT_RESPONSE });
  return (buffer, start, end) => {
    if (!view.scan(buffer, start, end)) table.reject('malformed-frame');
    else if (view.type === MessageType.CLIENT_RESPONSE) table.add(view, timeOf(view, nowMs));
  };
}

function timeOf(view: DnstapView, nowMs: () => number): number {
  if (view.queryTimeSec > 0) return toMs(view.queryTimeSec, view.queryTimeNsec);
  if (view.responseTimeSec > 0) return toMs(view.responseTimeSec, view.responseTimeNsec);
  return nowMs();
}

function toMs(seconds: number, nanoseconds: number): number {
  return seconds * 1000 + (nanoseconds > 0 ? Math.floor(nanoseconds / 1_000_000) : 0);
}
