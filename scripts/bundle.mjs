// Bundles the program with everything it needs into dist/bundle: main.js, the native parts of the embedded store for this
// platform, and the licences of what is inside. One file starts three times faster than node_modules and takes less memory.
//
// The program reads its version from ../../package.json, so the directory needs its place below package.json.
//
// Usage: node scripts/bundle.mjs [--output DIRECTORY]
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [flag, directory] = process.argv.slice(2);
const output = flag === '--output' && directory !== undefined ? resolve(directory) : join(root, 'dist/bundle');

/** What may go into the image: each asks for no more than its own text, which the notices carry. */
const LICENCES = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
]);
/** These ask for no text to be kept. */
const LICENCES_WITHOUT_TEXT = new Set(['0BSD', 'Unlicense']);
const LICENCE_FILE = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i;

// Packages in CommonJS ask for these; an ES module has none of them.
const COMMONJS_GLOBALS = `
import { createRequire as __createRequire } from 'node:module';
import { dirname as __pathDirname } from 'node:path';
import { fileURLToPath as __toPath } from 'node:url';
const require = __createRequire(import.meta.url);
const __filename = __toPath(import.meta.url);
const __dirname = __pathDirname(__filename);
`;

async function bundle() {
  const { metafile } = await build({
    entryPoints: [join(root, 'src/main.ts')],
    outfile: join(output, 'main.js'),
    absWorkingDir: root,
    alias: { 'dnstap-ts': join(root, 'src/dnstap-ts/src/index.ts') },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    banner: { js: COMMONJS_GLOBALS.trim() },
    legalComments: 'none', // the notices have the whole texts
    metafile: true,
    minifySyntax: true,
    minifyWhitespace: true, // names stay: they are in stack traces
    logLevel: 'warning',
  });
  return Object.keys(metafile.inputs);
}

/** classic-level looks for its native part beside the file that asks for it, which is the bundle now. */
function copyNativeParts() {
  const prebuilds = join(root, 'node_modules/classic-level/prebuilds');
  const { platform, arch } = process;
  for (const name of readdirSync(prebuilds)) {
    const [system, ...archs] = name.split(/[-+]/);
    if (system !== platform || !archs.includes(arch)) continue;
    cpSync(join(prebuilds, name), join(output, 'prebuilds', name), { recursive: true });
    return;
  }
  throw new Error(`classic-level has no native part for ${platform}-${arch}`);
}

/** The package.json of each package that a bundled file is of. */
function packagesOf(inputs) {
  const manifests = new Map();
  for (const input of inputs) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match === null || manifests.has(match[1])) continue;
    const directory = join(root, match[1]);
    manifests.set(match[1], { directory, ...JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) });
  }
  return [...manifests.values()].sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
}

function nativeDependencies(directory) {
  const deps = join(directory, 'deps');
  if (!existsSync(deps)) return [];
  const entries = readdirSync(deps, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join('deps', relative(deps, join(entry.parentPath, entry.name))))
    .sort();
}

function formatNotice({ directory, name, version, license, repository }) {
  if (!LICENCES.has(license))
    throw new Error(`${name}@${version} has the licence ${license}, which is not in the list`);
  // classic-level has the licences of LevelDB and Snappy, which are in its native part, below deps/.
  const texts = ['.', ...nativeDependencies(directory)].flatMap((below) =>
    readdirSync(join(directory, below))
      .filter((file) => LICENCE_FILE.test(file))
      .sort()
      .map((file) => readFileSync(join(directory, below, file), 'utf8').trim()),
  );
  if (texts.length === 0 && !LICENCES_WITHOUT_TEXT.has(license))
    throw new Error(`${name}@${version} has no licence text`);
  const source = typeof repository === 'string' ? repository : (repository?.url ?? '');
  return [`${name} ${version} (${license}) ${source}`.trim(), '', ...texts].join('\n');
}

function writeNotices(inputs) {
  const rule = `\n\n${'-'.repeat(80)}\n\n`;
  const heading = 'istio-discovery contains the following packages, each under its own licence.';
  const notices = packagesOf(inputs).map(formatNotice);
  writeFileSync(join(output, 'THIRD-PARTY-NOTICES'), `${[heading, ...notices].join(rule)}\n`);
}

if (flag !== undefined && (flag !== '--output' || directory === undefined)) {
  throw new Error('usage: node scripts/bundle.mjs [--output DIRECTORY]');
}
if (!existsSync(join(root, 'node_modules'))) throw new Error('node_modules is missing; run npm ci first');
rmSync(output, { recursive: true, force: true });
mkdirSync(output, { recursive: true });
const inputs = await bundle();
copyNativeParts();
writeNotices(inputs);
