/** Record types (RFC 1035 section 3.2.2 and the IANA registry) that are told apart here. */
export const RecordType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  NULL: 10,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28, // RFC 3596
  SRV: 33, // RFC 2782
  DNAME: 39, // RFC 6672
  OPT: 41, // RFC 6891
  SVCB: 64, // RFC 9460
  HTTPS: 65, // RFC 9460
} as const;

/** Response codes (RFC 1035 section 4.1.1). */
export const ResponseCode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export const CLASS_IN = 1; // RFC 1035 section 3.2.4
