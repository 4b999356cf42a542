import { setFlagsFromString } from 'node:v8';
import { DnstapView, MessageType } from 'dnstap-ts';
import type { ObservationTable } from '../observation/observation-table.js';

/** Takes one dnstap frame; the bytes are read only during the call. */
export type FrameIntake = (buffer: Uint8Array, start: number, end: number) => void;

// Small functions keep a frame's path readable, and cost nothing where V8 inlines them. It does so until a function has
// taken in 920 octets of bytecode, far less than the path has, and takes in functions of up to 460. With 5000 and 420 `add`
// and `addAnswer` are compiled apart, each with all that it calls, as `#scanInOrder` is, which is too long to be taken in.
// One of everything would have no room for the smallest, which are called most: that takes a fifth longer on Node 20.
setFlagsFromString('--max-inlined-bytecode-size-cumulative=5000');
setFlagsFromString('--max-inlined-bytecode-size=420');

/**
 * The hot path: a frame's CLIENT_RESPONSE goes into the table. Other messages are passed over: CLIENT_RESPONSE alone has
 * the question, the answer, the client and the times, and counting another as well would count a look-up twice.
 */
export function createFrameIntake(table: Pick<ObservationTable, 'add' | 'reject'>): FrameIntake {
  const view = new DnstapView({ only: MessageType.CLIENT_RESPONSE });
  return (buffer, start, end) => {
    if (!view.scan(buffer, start, end)) table.reject('malformed-frame');
    else if (view.type === MessageType.CLIENT_RESPONSE) table.add(view);
  };
}
