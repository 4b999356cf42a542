export const DAY_MS = 86_400_000;
/** Addresses and chains are dated no more exactly: what is looked up often then changes once a minute, not each time. */
export const MINUTE_MS = 60_000;
