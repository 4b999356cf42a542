import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIRECTORY = fileURLToPath(new URL('corefiles', import.meta.url));

/** Corefiles in the shapes that clusters have, and in every other shape that CoreDNS starts with. */
export const CORE_FILES: readonly { readonly name: string; readonly text: string }[] = readdirSync(DIRECTORY)
  .sort()
  .map((file) => ({ name: basename(file, '.corefile'), text: readFileSync(join(DIRECTORY, file), 'utf8') }));
