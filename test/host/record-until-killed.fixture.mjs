// record-until-killed.fixture.mjs STORE DIRECTORY: records batches and prints the sequence of each that was acknowledged.
import { pathToFileURL } from 'node:url';

const [module, directory] = process.argv.slice(2);
const { openEmbeddedStore } = await import(pathToFileURL(module).href);
const store = await openEmbeddedStore(directory);
for (let sequence = 1; ; sequence++) {
  const atMs = Date.UTC(2026, 0, 1) + sequence * 1000;
  await store.record({
    source: 'fixture',
    sequence,
    observations: [
      {
        hostname: `h.d${sequence}.example`,
        client: '10.244.0.7',
        addresses: ['192.0.2.1'],
        ttlSeconds: { min: 60, max: 60 },
        cnames: [],
        firstObservedAtMs: atMs,
        lastObservedAtMs: atMs,
        lookups: 1,
        origin: 'dnstap',
      },
    ],
    rejections: [],
  });
  process.stdout.write(`${sequence}\n`);
}
