import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { channels, ERROR_CODES } from '../src/index.js';
import { Authority } from './support/certificates.js';
import { temporaryDirectory } from './support/temporary-directory.js';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const README: string = readFileSync(join(PACKAGE, 'README.md'), 'utf8');

interface Example {
  readonly heading: string;
  readonly language: string;
  readonly code: string;
}

function examples(): readonly Example[] {
  const found: Example[] = [];
  let heading = '';
  for (const part of README.matchAll(/^### (.*)$|^```(\w+)\n([\s\S]*?)^```$/gm)) {
    const [, title, language = '', code = ''] = part;
    if (title !== undefined) heading = title;
    else if (!code.startsWith('npm install')) found.push({ heading, language, code });
  }
  return found;
}

const directory = temporaryDirectory();

beforeAll(() => {
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(PACKAGE, join(directory, 'node_modules', 'dnstap-ts'));
  mkdirSync(join(directory, 'bin'));
  symlinkSync(join(PACKAGE, 'dist', 'main.js'), join(directory, 'bin', 'dnstap-ts'));
  chmodSync(join(PACKAGE, 'dist', 'main.js'), 0o755); // as npm does with what package.json calls a bin
  const authority = new Authority();
  const server = authority.issue('localhost');
  const files = { 'server.pem': server.cert, 'server.key': server.key, 'clients-ca.pem': authority.cert };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  authority.remove();
});

function run({ language, code }: Example): { status: number | null; output: string; errors: string } {
  const file = join(directory, `example.${{ js: 'mjs', cjs: 'cjs', sh: 'sh' }[language] ?? language}`);
  writeFileSync(file, code);
  const command = language === 'sh' ? ['bash', '-e'] : [process.execPath];
  const PATH = `${join(directory, 'bin')}:${process.env.PATH}`;
  const { status, stdout, stderr } = spawnSync(command[0] ?? '', [...command.slice(1), file], {
    cwd: directory,
    encoding: 'utf8',
    env: { ...process.env, PATH },
  });
  return { status, output: stdout, errors: stderr };
}

describe('README', () => {
  it.each(examples().map((example) => [`${example.heading} (${example.language})`, example] as const))(
    'has an example that runs: %s',
    (_name, example) => {
      const { status, errors } = run(example);
      expect({
        status,
        errors: errors.replaceAll(
          /^dnstap-ts: (listening|\d+ frames).*\n|.*ExperimentalWarning.*\n|.*--trace-warnings.*\n/gm,
          '',
        ),
      }).toEqual({
        status: 0,
        errors: '',
      });
    },
  );

  it('prints what it says about the nanoseconds and the receiver', () => {
    const byHeading = new Map(examples().map((example) => [example.heading, example]));
    const show = (heading: string) => run(byHeading.get(heading) ?? { heading, language: 'sh', code: 'false' }).output;
    expect(show('Write and read files')).toBe('1795416141581013902n\n');
    expect(show('Receive')).toContain('192.0.2.1 got 50 bytes');
    expect(show('Frame Streams without I/O')).toContain('hello\nfinished\nstopped');
  });

  it('lists every error code with its meaning, and no other', () => {
    const listed = [...README.matchAll(/^\| `(DNSTAP_ERR_\w+)` +\| (.*?) +\|$/gm)].map(([, code, meaning]) => [
      code,
      meaning,
    ]);
    expect(Object.fromEntries(listed)).toEqual(ERROR_CODES);
  });

  it('lists every diagnostics channel, and no other', () => {
    const listed = [...README.matchAll(/^\| `(dnstap:\S+)` /gm)].map(([, name]) => name);
    expect(new Set(listed)).toEqual(new Set(Object.values(channels).map(({ name }) => String(name))));
  });
});

describe('the package', () => {
  const installed = join(directory, 'installed');

  beforeAll(() => {
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--pack-destination', directory], { cwd: PACKAGE, encoding: 'utf8' }),
    ) as [{ filename: string }];
    const target = join(installed, 'node_modules', 'dnstap-ts');
    mkdirSync(target, { recursive: true });
    execFileSync('tar', ['-xzf', join(directory, packed.filename), '-C', target, '--strip-components=1']);
    const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));
    for (const name of ['protobufjs', 'long', 'typescript', '@types', 'undici-types', '@typescript']) {
      symlinkSync(join(modules, name), join(installed, 'node_modules', name));
    }
  });

  it('holds code, types, README and licence, and nothing else', () => {
    const files = execFileSync('find', ['.', '-type', 'f'], {
      cwd: join(installed, 'node_modules', 'dnstap-ts'),
      encoding: 'utf8',
    });
    const names = files.trim().split('\n').toSorted();
    expect(names.filter((name) => !/^\.\/(dist|generated)\/[a-z-]+\.(js|d\.ts)$/.test(name))).toEqual([
      './LICENSE',
      './README.md',
      './package.json',
    ]);
    expect(names).toContain('./dist/index.d.ts');
    expect(names).toContain('./dist/main.js');
  });

  it.each([
    [
      'import',
      'a.mjs',
      "import { decodeDnstap } from 'dnstap-ts'; console.log(decodeDnstap(Buffer.from('7801', 'hex')).type);",
    ],
    [
      'require',
      'a.cjs',
      "const { decodeDnstap } = require('dnstap-ts'); console.log(decodeDnstap(Buffer.from('7801', 'hex')).type);",
    ],
  ])('works by %s', (_name, file, code) => {
    writeFileSync(join(installed, file), code);
    expect(execFileSync(process.execPath, [file], { cwd: installed, encoding: 'utf8', stdio: 'pipe' })).toBe('1\n');
  });

  it.each([
    ['nodenext, ESM and CommonJS', ['--module', 'nodenext'], ['consumer.mts', 'consumer.cts']],
    ['node16, ESM', ['--module', 'node16'], ['consumer.mts']],
    ['a bundler', ['--module', 'esnext', '--moduleResolution', 'bundler'], ['consumer.ts']],
  ])('has types that a strict consumer can use without skipLibCheck: %s', (_name, resolution, consumers) => {
    const code = `
      import { decodeDnstap, Receiver, type Dnstap } from 'dnstap-ts';
      const frame: Dnstap = decodeDnstap(new Uint8Array());
      const seconds: bigint | null | undefined = frame.message?.queryTimeSec;
      const receiver = new Receiver({ endpoint: '/x', onFrame: (buffer, start, end, connection) => connection.countDropped(end - start) });
      receiver.on('close', ({ error }) => error?.code === 'DNSTAP_ERR_TRUNCATED');
      export { seconds };
    `;
    for (const consumer of consumers) writeFileSync(join(installed, consumer), code);
    const strict = ['--strict', '--exactOptionalPropertyTypes', ...resolution, '--target', 'es2022'];
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(installed, 'node_modules/typescript/bin/tsc'), '--noEmit', ...strict, '--types', 'node', ...consumers],
      { cwd: installed, encoding: 'utf8' },
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  it('depends on protobufjs alone', () => {
    const manifest = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as { dependencies: object };
    expect(Object.keys(manifest.dependencies)).toEqual(['protobufjs']);
  });
});
