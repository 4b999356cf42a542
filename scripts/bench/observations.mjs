// Observations as one collector of a busy cluster hands them over: 1,000 workloads, 2,000 hosts, some of them used by many.
const HOSTS = 2_000;
const CLIENTS = 1_000;
const START_MS = Date.UTC(2026, 0, 1, 12);

export function* observations(count) {
  for (let i = 0; i < count; i++) {
    const host = (i * 7919) % HOSTS;
    const client = (i * 31 + Math.floor(i / HOSTS)) % CLIENTS;
    const atMs = START_MS + Math.floor(i / 100);
    yield {
      hostname: `api.service-${host}.example`,
      client: `10.244.${client >> 8}.${client & 255}`,
      addresses: [`192.0.2.${host & 255}`, `192.0.2.${(host + 1) & 255}`],
      ttlSeconds: { min: 30, max: 60 },
      cnames: host % 3 === 0 ? [`edge-${host}.cdn.example.net`] : [],
      firstObservedAtMs: atMs,
      lastObservedAtMs: atMs + 40,
      lookups: 2,
      origin: 'dnstap',
    };
  }
}
