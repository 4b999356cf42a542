import { rename, writeFile } from 'node:fs/promises';
import { partMethods, startPart, type Part } from './process.js';
import { partPath } from './parts.js';
import { createTemporaryDirectory } from './temporary-directory.js';

/** @see startCoreDns */
export interface CoreDnsOptions {
  readonly name?: string;
  /** The pinned CoreDNS to run: the current one, or an old one. */
  readonly part?: 'coredns' | `coredns-1.${10 | 11 | 14}`;
  readonly corefile: string;
  /** Files that the Corefile names, relative to its own directory. */
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Asks it; a DNS query would do, but would be seen on its tap. */
  readonly ready: () => unknown;
}

/** A CoreDNS that runs. */
export interface CoreDns extends Part {
  readonly corefilePath: string;
  /** Replaces the Corefile as the kubelet does: by a rename. Applied by its reload plugin, or at once by SIGUSR1. */
  writeCorefile(corefile: string): Promise<void>;
}

/** Starts a CoreDNS from a Corefile. */
export async function startCoreDns(options: CoreDnsOptions): Promise<CoreDns> {
  const { name = 'coredns', part = 'coredns', corefile, files = {}, environment = {}, ready } = options;
  const directory = createTemporaryDirectory();
  const corefilePath = directory.file('Corefile');
  for (const [file, content] of Object.entries({ ...files, Corefile: corefile })) {
    await writeFile(directory.file(file), content);
  }
  const process = await startPart({
    name,
    command: await partPath(part),
    args: ['-conf', corefilePath],
    directory,
    environment,
    ready,
  });
  return {
    ...partMethods(process),
    corefilePath,
    writeCorefile: async (text) => {
      await writeFile(`${corefilePath}.new`, text);
      await rename(`${corefilePath}.new`, corefilePath);
    },
  };
}
