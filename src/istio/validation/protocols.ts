/**
 * Protocols of a port, in lower case; case does not matter.
 *
 * @see istio/istio pkg/config/protocol/instance.go
 */
const HTTP_PROTOCOLS: readonly string[] = ['http', 'http2', 'http_proxy', 'grpc', 'grpc-web'];
const TLS_PROTOCOLS: readonly string[] = ['https', 'tls'];
const OTHER_TCP_PROTOCOLS: readonly string[] = ['tcp', 'mongo', 'redis', 'mysql'];
const DYNAMIC_DNS_PROTOCOLS: readonly string[] = ['http', 'tls', 'grpc', 'http2'];

export const isHttp = (protocol: string): boolean => HTTP_PROTOCOLS.includes(protocol.toLowerCase());
export const isTls = (protocol: string): boolean => TLS_PROTOCOLS.includes(protocol.toLowerCase());

/** Of the family of TCP, to which Istio counts TLS. */
export const isTcp = (protocol: string): boolean =>
  isTls(protocol) || OTHER_TCP_PROTOCOLS.includes(protocol.toLowerCase());

export const isKnown = (protocol: string): boolean =>
  isHttp(protocol) || isTcp(protocol) || protocol.toLowerCase() === 'udp';

export const fitsDynamicDns = (protocol: string): boolean => DYNAMIC_DNS_PROTOCOLS.includes(protocol.toLowerCase());
