import { channel } from 'node:diagnostics_channel';

/**
 * What this package has to say about itself, instead of a log: channels of `node:diagnostics_channel`.
 *
 * | channel                      | message                        |
 * | ---------------------------- | ------------------------------ |
 * | `dnstap:receiver:listening`  | `{ endpoint }`                 |
 * | `dnstap:receiver:connection` | `{ connection }`               |
 * | `dnstap:receiver:refused`    | `{ code, peer }`               |
 * | `dnstap:receiver:handshake`  | `{ connection }`               |
 * | `dnstap:receiver:close`      | `{ connection, error }`        |
 * | `dnstap:receiver:error`      | `{ error }`                    |
 * | `dnstap:sender:connected`    | `{ endpoint }`                 |
 * | `dnstap:sender:disconnected` | `{ endpoint, error }`          |
 * | `dnstap:sender:dropped`      | `{ endpoint, frames }`, once per full queue |
 */
export const channels = {
  receiverListening: channel('dnstap:receiver:listening'),
  receiverConnection: channel('dnstap:receiver:connection'),
  receiverRefused: channel('dnstap:receiver:refused'),
  receiverHandshake: channel('dnstap:receiver:handshake'),
  receiverClose: channel('dnstap:receiver:close'),
  receiverError: channel('dnstap:receiver:error'),
  senderConnected: channel('dnstap:sender:connected'),
  senderDisconnected: channel('dnstap:sender:disconnected'),
  senderDropped: channel('dnstap:sender:dropped'),
} as const;
