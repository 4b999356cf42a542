/**
 * One DNS response as it lies in a buffer; a length of 0 means absent, a time below 0 as well. A DnstapView is one.
 *
 * The time that counts is the query's, since a response can arrive when the client's address already belongs to another
 * pod. Some servers send only the response's.
 */
export interface ResponseView {
  readonly buffer: Uint8Array;
  readonly queryTimeSec: number;
  readonly queryTimeNsec: number;
  readonly responseTimeSec: number;
  readonly responseTimeNsec: number;
  readonly queryAddressStart: number;
  readonly queryAddressLength: number;
  /** 0: not known. */
  readonly queryPort: number;
  readonly responseMessageStart: number;
  readonly responseMessageLength: number;
  readonly extraStart: number;
  readonly extraLength: number;
}
