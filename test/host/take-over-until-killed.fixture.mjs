// take-over-until-killed.fixture.mjs MODULE STORE: opens a store of an older layout with the program's own code and reads it.
import { pathToFileURL } from 'node:url';

const [module, store] = process.argv.slice(2);
const { openEmbeddedStore, openRedisStore } = await import(pathToFileURL(module).href);
const opened = openRedisStore === undefined ? await openEmbeddedStore(store) : openRedisStore({ url: store });
await opened.statistics();
process.stdout.write('up to date\n');
