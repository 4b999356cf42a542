import type { ConnectionOptions, PeerCertificate, TlsOptions } from 'node:tls';

import { DnstapError } from './errors.js';

/** PEM text or DER bytes. */
export type Pem = string | Uint8Array;

/** TLS of a Receiver. */
export interface ReceiverTlsOptions {
  readonly cert: Pem;
  readonly key: Pem;
  /** Authorities of client certificates. Given, every client must show a certificate of theirs (mutual TLS). */
  readonly ca?: Pem;
  /**
   * Which client certificates of `ca` may connect: common names, and DNS names and URIs among the alternative names.
   * Default: all.
   */
  readonly allowedSubjects?: readonly string[];
}

/** TLS of a Sender. */
export interface SenderTlsOptions {
  /** Authorities of the receiver's certificate. Default: the ones Node trusts. */
  readonly ca?: Pem;
  /** Client certificate, for receivers that ask for one. */
  readonly cert?: Pem;
  readonly key?: Pem;
  /** Name to expect in the receiver's certificate. Default: the host of the endpoint. */
  readonly serverName?: string;
}

/** @throws DnstapError `DNSTAP_ERR_OPTION` */
export function secureContextOptions(tls: ReceiverTlsOptions): TlsOptions {
  if (tls.allowedSubjects !== undefined && tls.ca === undefined) {
    throw new DnstapError('DNSTAP_ERR_OPTION', 'allowedSubjects needs ca: without it no client shows a certificate');
  }
  return {
    cert: bytes(tls.cert),
    key: bytes(tls.key),
    minVersion: 'TLSv1.2',
    ...(tls.ca !== undefined && { ca: bytes(tls.ca), requestCert: true, rejectUnauthorized: true }),
  };
}

export function clientTlsOptions(tls: SenderTlsOptions): ConnectionOptions {
  return {
    minVersion: 'TLSv1.2',
    ...(tls.ca !== undefined && { ca: bytes(tls.ca) }),
    ...(tls.cert !== undefined && { cert: bytes(tls.cert) }),
    ...(tls.key !== undefined && { key: bytes(tls.key) }),
    ...(tls.serverName !== undefined && { servername: tls.serverName }),
  };
}

function bytes(pem: Pem): string | Buffer {
  return typeof pem === 'string' ? pem : Buffer.from(pem);
}

/** Common names, DNS names and URIs of a certificate. */
export function certificateNames(certificate: PeerCertificate): readonly string[] {
  const commonName: string | string[] | undefined = certificate.subject?.CN;
  return [
    ...(commonName === undefined ? [] : [commonName].flat()),
    ...alternativeNames(certificate.subjectaltname ?? ''),
  ];
}

// Node joins alternative names with commas and puts values that could be mistaken for several into JSON quotes.
function alternativeNames(text: string): string[] {
  const names: string[] = [];
  for (const match of text.matchAll(/(?:^|, )(DNS|URI):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const value = match[2] ?? '';
    names.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
  }
  return names;
}
