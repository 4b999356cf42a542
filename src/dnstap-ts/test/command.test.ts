import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { parse, parseAllDocuments } from 'yaml';

import { runCommand } from '../src/command.js';
import { type Dnstap, encodeDnstap, formatEndpoint, parseEndpoint, Sender } from '../src/index.js';
import { Authority } from './support/certificates.js';
import { bytes, CLIENT_QUERY, CLIENT_RESPONSE, dataFrame, START, STOP } from './support/frames.js';
import { until } from './support/peer.js';
import { temporaryDirectory } from './support/temporary-directory.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const directory = temporaryDirectory();

interface Outcome {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

class Running {
  readonly #output = new PassThrough();
  readonly #controller = new AbortController();
  readonly #errorOutput = new PassThrough();
  readonly #done: Promise<number>;
  readonly #text: Promise<string>;
  #errors = '';

  constructor(args: readonly string[], input: Readable = Readable.from([])) {
    this.#errorOutput.on('data', (chunk: Buffer) => void (this.#errors += chunk.toString()));
    this.#text = text(this.#output);
    this.#done = runCommand(args, {
      input,
      output: this.#output,
      errorOutput: this.#errorOutput,
      signal: this.#controller.signal,
    });
  }

  get errors(): string {
    return this.#errors;
  }

  /** The endpoint that `receive` says it listens on. */
  async endpoint(): Promise<string> {
    await until(() => this.#errors.includes('listening on '));
    return /listening on (\S+)/.exec(this.#errors)?.[1] ?? '';
  }

  stop(): void {
    this.#controller.abort();
  }

  async outcome(): Promise<Outcome> {
    const status = await this.#done;
    this.#output.end();
    return { status, output: await this.#text, errors: this.#errors };
  }
}

function run(args: readonly string[], input?: Readable): Promise<Outcome> {
  return new Running(args, input).outcome();
}

function capture(...frames: readonly Uint8Array[]): string {
  const path = join(directory, `${Math.random()}.fstrm`);
  writeFileSync(path, bytes(START + frames.map(dataFrame).join('') + STOP));
  return path;
}

function lines(output: string): readonly string[] {
  return output.trimEnd().split('\n');
}

const FULL: Dnstap = {
  type: 1,
  identity: Buffer.from('dns1'),
  version: Buffer.from([0xff, 0x00]),
  extra: Buffer.from('rtt=20\n'),
  message: {
    type: 99,
    socketFamily: 2,
    socketProtocol: 4,
    queryAddress: bytes('20010db8000000000000000000000001'),
    responseAddress: bytes('00000000000000000000ffffc0000201'),
    queryPort: 40_000,
    responsePort: 443,
    queryTimeSec: 0xffff_ffff_ffff_ffffn,
    queryTimeNsec: 1,
    queryMessage: bytes('123401000001000000000000 0d65786120206d706c655c2e2e22 03636f6d00 0041 0001'),
    queryZone: bytes('03636f6d00'),
    responseTimeSec: 1_795_416_141n,
    responseTimeNsec: 5,
    responseMessage: bytes('0102030405'),
    policy: { type: 'RPZ', rule: bytes('00'), action: 1, match: 9, value: bytes('ff') },
    httpProtocol: 2,
  },
};

const RESPONSE_JSON = {
  identity: '6e31',
  version: '7631',
  message: {
    type: 6,
    socket_family: 1,
    socket_protocol: 1,
    query_address: '00000000000000000000ffff7f000001',
    query_ip: '127.0.0.1',
    query_port: 51_068,
    query_time_sec: '1795416141',
    query_time_nsec: 581_013_902,
    response_time_sec: '1795416141',
    response_time_nsec: 581_291_970,
    response_message:
      '123485000001000100000000017801740474657374000001000101780174047465737400000100010000000500040a000001',
  },
  type: 1,
};

describe('dnstap-ts decode', () => {
  it('prints a readable line a message', async () => {
    const { status, output, errors } = await run([
      'decode',
      capture(CLIENT_QUERY, CLIENT_RESPONSE, encodeDnstap(FULL)),
    ]);
    expect({ status, errors }).toEqual({ status: 0, errors: '' });
    expect(lines(output)).toEqual([
      '2026-11-23T06:42:21.581013902Z CLIENT_QUERY 127.0.0.1:51068 > - UDP 26b x.t.test. IN A',
      '2026-11-23T06:42:21.581291970Z CLIENT_RESPONSE 127.0.0.1:51068 > - UDP 50b NOERROR x.t.test. IN A',
      '2026-11-23T06:42:21.000000005Z 99 [2001:db8::1]:40000 > 192.0.2.1:443 DOH 5b -',
    ]);
  });

  it("prints JSON lines with the schema's names, bytes as hex, seconds as text and enumerations as numbers", async () => {
    const { output } = await run(['decode', '--json', capture(CLIENT_RESPONSE, encodeDnstap(FULL))]);
    const [response, full] = lines(output).map((line): unknown => JSON.parse(line));
    expect(response).toEqual(RESPONSE_JSON);
    expect(full).toMatchObject({
      version: 'ff00',
      extra: Buffer.from('rtt=20\n').toString('hex'),
      message: {
        type: 99,
        query_ip: '2001:db8::1',
        response_address: '00000000000000000000ffffc0000201',
        response_ip: '192.0.2.1',
        query_time_sec: '18446744073709551615',
        query_zone: '03636f6d00',
        policy: { type: 'RPZ', rule: '00', action: 1, match: 9, value: 'ff' },
        http_protocol: 2,
      },
    });
  });

  it('leaves absent fields out, and shows fields that it does not know', async () => {
    const { output } = await run(['decode', '--json', capture(bytes('7801'), bytes('72050806 9a0600 7801 9a060161'))]);
    expect(lines(output).map((line): unknown => JSON.parse(line))).toEqual([
      { type: 1 },
      { message: { type: 6, unknown_fields: ['9a0600'] }, type: 1, unknown_fields: ['9a060161'] },
    ]);
  });

  it('prints YAML documents that a YAML parser understands', async () => {
    const { output } = await run(['decode', '--yaml', capture(CLIENT_RESPONSE, encodeDnstap(FULL), bytes('ff'))]);
    const documents = parseAllDocuments(output).map((document): unknown => document.toJS());
    expect(documents[0]).toEqual({
      type: 'MESSAGE',
      identity: 'n1',
      version: 'v1',
      message: {
        type: 'CLIENT_RESPONSE',
        query_time: '2026-11-23T06:42:21.581013902Z',
        response_time: '2026-11-23T06:42:21.581291970Z',
        socket_family: 'INET',
        socket_protocol: 'UDP',
        query_address: '127.0.0.1',
        query_port: 51_068,
        response_message: {
          size: 50,
          id: 0x1234,
          opcode: 0,
          rcode: 'NOERROR',
          flags: ['qr', 'aa', 'rd'],
          counts: [1, 1, 0, 0],
          question: 'x.t.test. IN A',
          bytes: RESPONSE_JSON.message.response_message,
        },
      },
    });
    expect(documents[1]).toMatchObject({
      version: 'ff00',
      extra: 'rtt=20\n',
      message: {
        type: 99,
        query_time: expect.anything() as unknown,
        query_zone: 'com.',
        policy: { type: 'RPZ', rule: '00', action: 'NXDOMAIN', match: 9, value: 'ff' },
        query_message: { question: 'exa\\032\\032mple\\\\\\.\\.\\".com. IN HTTPS' },
        response_message: { size: 5, bytes: '0102030405' },
      },
    });
    expect(documents[2]).toEqual({ error: 'DNSTAP_ERR_TRUNCATED', frame: 'ff' });
  });

  it('says in its place that a frame cannot be decoded, and goes on', async () => {
    const path = capture(bytes('72ff01'), CLIENT_RESPONSE);
    const json = await run(['decode', '--json', path]);
    expect(json.status).toBe(0);
    expect(lines(json.output).map((line): unknown => JSON.parse(line))).toEqual([
      { error: 'DNSTAP_ERR_TRUNCATED', frame: '72ff01' },
      RESPONSE_JSON,
    ]);
    const line = await run(['decode', path]);
    expect(lines(line.output)[0]).toBe('- DNSTAP_ERR_TRUNCATED 3b');
  });

  it('reads standard input', async () => {
    const { output } = await run(['decode', '-', '--json'], Readable.from([readFileSync(capture(CLIENT_RESPONSE))]));
    expect(JSON.parse(output)).toEqual(RESPONSE_JSON);
  });

  it('says how much of a truncated file is lost', async () => {
    const path = join(directory, 'truncated.fstrm');
    writeFileSync(path, bytes(START + dataFrame(CLIENT_RESPONSE) + dataFrame(CLIENT_QUERY).slice(0, 20)));
    const { status, output, errors } = await run(['decode', path]);
    expect(status).toBe(0);
    expect(lines(output)).toHaveLength(1);
    expect(errors).toContain('10 bytes of a frame cut off');
  });

  it('copies with --write, printing only if asked to', async () => {
    const copy = join(directory, 'copy.fstrm');
    const source = capture(CLIENT_QUERY, CLIENT_RESPONSE);
    expect(await run(['decode', source, '--write', copy])).toEqual({ status: 0, output: '', errors: '' });
    expect(readFileSync(copy).equals(readFileSync(source))).toBe(true);
    expect(lines((await run(['decode', source, '--json', '--write', copy])).output)).toHaveLength(2);
  });

  it('does not empty the file that it is to read', async () => {
    const source = capture(CLIENT_QUERY);
    const before = readFileSync(source);
    const link = join(directory, 'link.fstrm');
    linkSync(source, link);
    for (const target of [source, link]) {
      expect(await run(['decode', source, '--write', target])).toMatchObject({
        status: 1,
        errors: expect.stringContaining('DNSTAP_ERR_FILE'),
      });
    }
    expect(readFileSync(source).equals(before)).toBe(true);
  });

  it.each([
    ['nothing at all', '', 'the input is empty'],
    ['no frame that is cut off', START, 'the input ends without STOP\n'],
    ['a frame over the limit', `${START}00040001${'00'.repeat(0x40001)}${STOP}`, '--max-frame-bytes: 1'],
    ['one recording after another', `${START}${STOP}${START}${STOP}`, 'only the first is read'],
    ['START without a content type', `000000000000000400000002${STOP}`, ''],
    ['no control frame in between', `${START}${dataFrame(CLIENT_QUERY)}${STOP}`, ''],
  ])('reads %s, and says what it has not read', async (_name, hex, remark) => {
    const { status, errors } = await run(['decode', '-'], Readable.from([bytes(hex)]));
    expect(status).toBe(0);
    if (remark === '') expect(errors).toBe('');
    else expect(errors).toContain(remark);
  });

  it('says once what it expected of a first frame', async () => {
    const { status, errors } = await run(['decode', '-'], Readable.from([bytes(dataFrame(CLIENT_QUERY))]));
    expect(status).toBe(1);
    expect(errors.match(/data frame/g)).toHaveLength(1);
  });

  it('fails when its output cannot be written, and not when its reader has seen enough', async () => {
    const source = capture(...Array.from({ length: 5000 }, () => CLIENT_RESPONSE));
    const status = async (line: string): Promise<number | null> => {
      const shell = spawn('bash', ['-c', `"$0" "$1" decode "$2" ${line}`, process.execPath, MAIN, source], {
        stdio: 'ignore',
      });
      const [code] = (await once(shell, 'exit')) as [number | null];
      return code;
    };
    expect(await status('| head -1; exit "${PIPESTATUS[0]}"')).toBe(0);
    if (existsSync('/dev/full')) expect(await status('>/dev/full')).toBe(1);
  });

  it('keeps no more in memory than its output takes', async () => {
    const output = new PassThrough({ highWaterMark: 1000 });
    const signal = new AbortController().signal;
    const path = capture(...Array.from({ length: 5000 }, () => CLIENT_RESPONSE));
    const done = runCommand(['decode', '--json', path], {
      input: Readable.from([]),
      output,
      errorOutput: output,
      signal,
    });
    await until(() => output.writableNeedDrain);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(output.writableLength).toBeLessThan(600_000); // one chunk of the file
    output.resume();
    expect(await done).toBe(0);
  });

  it.each([
    ['a missing file', ['decode', '/nonexistent/file'], 1, 'DNSTAP_ERR_FILE'],
    ['a file of something else', ['decode', fileURLToPath(import.meta.url)], 1, 'DNSTAP_ERR_NOT_FRAME_STREAMS'],
    ['no command', [], 2, 'Usage:'],
    ['an unknown command', ['dump', 'x'], 2, 'Usage:'],
    ['an unknown option', ['decode', 'x', '--xml'], 2, 'Usage:'],
    ['two formats', ['decode', 'x', '--json', '--yaml'], 2, 'Usage:'],
    ['two files', ['decode', 'x', 'y'], 2, 'Usage:'],
    ['a mode that is none', ['receive', '/x', '--socket-mode', '999'], 2, 'Usage:'],
    ['half of TLS', ['receive', 'tls://127.0.0.1:0', '--tls-cert', 'x'], 2, 'Usage:'],
    ['an option of the other command', ['decode', 'x', '--allow', '192.0.2.0/24'], 2, '--allow goes with receive'],
    ['a limit of nothing', ['decode', '-', '--max-frame-bytes', '0'], 1, 'DNSTAP_ERR_OPTION'],
    ['an endpoint that is none', ['receive', 'x'], 1, 'DNSTAP_ERR_ENDPOINT'],
    [
      'a certificate that is missing',
      ['receive', 'tls://127.0.0.1:0', '--tls-cert', '/x', '--tls-key', '/x'],
      1,
      'DNSTAP_ERR_FILE',
    ],
    ['a limit that is none', ['receive', 'tcp://127.0.0.1:0', '--max-frame-bytes', 'x'], 1, 'DNSTAP_ERR_OPTION'],
  ])('fails on %s', async (_name, args, status, errors) => {
    const outcome = await run(args);
    expect(outcome.status).toBe(status);
    expect(outcome.errors).toContain(errors);
    expect(outcome.output).toBe('');
  });

  it('helps and says its version', async () => {
    expect((await run(['--help'])).output).toContain('dnstap-ts receive ENDPOINT');
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await run(['--version'])).toEqual({ status: 0, output: `${manifest.version}\n`, errors: '' });
  });
});

async function sendTo(endpoint: string, frames: readonly Uint8Array[], tls?: object): Promise<void> {
  const sender = new Sender({ endpoint, ...(tls !== undefined && { tls }) });
  for (const frame of frames) sender.send(frame);
  expect(await sender.close()).toBe(true);
}

describe('dnstap-ts receive', () => {
  it.each(['unix', 'tcp'])('prints what senders send over %s until it is stopped', async (kind) => {
    const running = new Running([
      'receive',
      kind === 'unix' ? join(directory, 'r.sock') : 'tcp://127.0.0.1:0',
      '--json',
    ]);
    await sendTo(await running.endpoint(), [CLIENT_RESPONSE, bytes('ff')]);
    running.stop();
    const { status, output, errors } = await running.outcome();
    expect(status).toBe(0);
    expect(lines(output).map((line): unknown => JSON.parse(line))).toEqual([
      RESPONSE_JSON,
      { error: 'DNSTAP_ERR_TRUNCATED', frame: 'ff' },
    ]);
    expect(errors).toContain('2 frames received, 0 dropped');
  });

  it('asks TLS clients for a certificate of the given name', async () => {
    const authority = new Authority();
    const files = { ca: authority.cert, ...authority.issue('localhost', ['IP:127.0.0.1']) };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, `${name}.pem`), content);
    const options = Object.keys(files).flatMap((name) => [`--tls-${name}`, join(directory, `${name}.pem`)]);
    const running = new Running(['receive', 'tls://127.0.0.1:0', '--tls-subject', 'coredns', ...options]);
    const endpoint = await running.endpoint();
    await sendTo(endpoint, [CLIENT_RESPONSE], { ca: authority.cert, ...authority.issue('coredns') });
    const refused = new Sender({
      endpoint,
      tls: { ca: authority.cert, ...authority.issue('mallory') },
      timeoutMs: 300,
    });
    refused.send(CLIENT_RESPONSE);
    expect(await refused.close()).toBe(false);
    running.stop();
    const { output, errors } = await running.outcome();
    expect(lines(output)).toHaveLength(1);
    expect(errors).toContain('DNSTAP_ERR_PEER_NOT_ALLOWED');
    authority.remove();
  });

  it('records with --write, and says what it cannot record', async () => {
    const file = join(directory, 'recorded.fstrm');
    const running = new Running(['receive', 'tcp://127.0.0.1:0', '--write', file]);
    await sendTo(await running.endpoint(), [CLIENT_QUERY, CLIENT_RESPONSE]);
    running.stop();
    expect(await running.outcome()).toMatchObject({ status: 0, output: '' });
    expect(readFileSync(file).equals(readFileSync(capture(CLIENT_QUERY, CLIENT_RESPONSE)))).toBe(true);
    const full = new Running(['receive', 'tcp://127.0.0.1:0', '--write', '/dev/full']);
    const sender = new Sender({ endpoint: await full.endpoint() });
    for (let i = 0; i < 2000; i++) sender.send(CLIENT_RESPONSE);
    await sender.close(); // with FINISH or without: the receiver ends when it cannot write
    expect(await full.outcome()).toMatchObject({ status: 1 });
    expect(full.errors).toContain('DNSTAP_ERR_FILE');
  });

  it('ends cleanly on SIGTERM as a process: the recording whole, the socket gone', async () => {
    const [socket, file] = [join(directory, 'process.sock'), join(directory, 'process.fstrm')];
    const child = start(['receive', socket, '--json', '--write', file]);
    const output = text(child.stdout ?? Readable.from([]));
    await until(() => existsSync(socket));
    await sendTo(formatEndpoint(parseEndpoint(socket)), [CLIENT_RESPONSE]);
    child.kill('SIGTERM');
    const [status, signal] = (await once(child, 'exit')) as [number, string | null];
    expect([status, signal]).toEqual([0, null]);
    expect(JSON.parse(await output)).toEqual(RESPONSE_JSON);
    expect(readFileSync(file).toString('hex')).toBe(START + dataFrame(CLIENT_RESPONSE) + STOP);
    expect(existsSync(socket)).toBe(false);
  });

  it('ends quietly as a process whose output nobody wants any more', async () => {
    const child = start(['decode', '--json', capture(...Array.from({ length: 20_000 }, () => CLIENT_RESPONSE))]);
    child.stdout?.once('data', () => child.stdout?.destroy());
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => void (errors += chunk.toString()));
    const [status] = (await once(child, 'close')) as [number];
    expect([status, errors]).toEqual([0, '']);
  });
});

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

it('writes YAML strings that no YAML reader takes for something else', async () => {
  const extra = Buffer.from('no');
  const { output } = await run([
    'decode',
    '--yaml',
    capture(encodeDnstap({ type: 1, extra, identity: Buffer.from('') })),
  ]);
  expect(parse(output.replace('---\n', ''))).toEqual({ type: 'MESSAGE', identity: '', extra: 'no' });
});
