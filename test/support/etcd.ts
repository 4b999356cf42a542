import { freePort } from './free-port.js';
import { partPath } from './parts.js';
import { answersHttp } from './probe.js';
import { partMethods, startPart, type Part } from './process.js';
import { createTemporaryDirectory } from './temporary-directory.js';

/** An etcd that runs. */
export interface Etcd extends Part {
  readonly url: string;
  /** All that it keeps, to be copied and put back while it does not run. */
  readonly dataDirectory: string;
}

/** Starts an etcd of one member, without fsync: it has to survive the kill of its process, not the loss of power. */
export async function startEtcd(): Promise<Etcd> {
  const directory = createTemporaryDirectory();
  const url = `http://127.0.0.1:${await freePort()}`;
  const peerUrl = `http://127.0.0.1:${await freePort()}`;
  const process = await startPart({
    name: 'etcd',
    command: await partPath('etcd'),
    args: [
      `--data-dir=${directory.file('data')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    directory,
    ready: async () => answersHttp(`${url}/readyz`),
  });
  return { ...partMethods(process), url, dataDirectory: directory.file('data') };
}
