import { parseArgs } from 'node:util';

import { DnstapError } from './errors.js';

export const USAGE = `Usage: dnstap-ts decode FILE|-      print the frames of a file or of standard input (plain or gzip)
       dnstap-ts receive ENDPOINT   listen and print what senders send until SIGTERM or SIGINT

ENDPOINT is unix:///path, /path, tcp://host:port or tls://host:port.

Output: one readable line a message, or
  --json               JSON lines, field names of dnstap.proto, bytes as hex
  --yaml               YAML documents
  --write FILE         record into a Frame Streams file; prints only with --json or --yaml

Receiving:
  --socket-mode MODE   mode of the unix socket, octal (default 0666)
  --allow RANGE        address range that may connect, for example 192.0.2.0/24; may be repeated
  --tls-cert FILE      certificate and key for tls://, PEM
  --tls-key FILE
  --tls-ca FILE        clients must show a certificate of this authority
  --tls-subject NAME   and be called this; may be repeated

  --max-frame-bytes N  longer frames are skipped (default 262144)
  --help, --version
`;

/** How frames are printed. */
export type OutputFormat = 'line' | 'json' | 'yaml' | 'none';

/** What the command was asked for. */
export type Command =
  | { readonly action: 'help' | 'version' }
  | ({ readonly action: 'decode'; readonly file: string } & OutputOptions)
  | ({ readonly action: 'receive'; readonly endpoint: string } & OutputOptions & ReceiveOptions);

/** Options of both subcommands. */
export interface OutputOptions {
  readonly format: OutputFormat;
  readonly writePath: string | undefined;
  readonly maxFrameBytes: number | undefined;
}

/** Options of `receive`. */
export interface ReceiveOptions {
  readonly socketMode: number;
  readonly allowedAddresses: readonly string[] | undefined;
  readonly tls:
    | { readonly cert: string; readonly key: string; readonly ca?: string; readonly subjects?: readonly string[] }
    | undefined;
}

const DEFAULT_SOCKET_MODE = 0o666; // CoreDNS runs as another user than whoever listens

const OPTIONS = {
  json: { type: 'boolean' },
  yaml: { type: 'boolean' },
  write: { type: 'string' },
  'socket-mode': { type: 'string' },
  allow: { type: 'string', multiple: true },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-ca': { type: 'string' },
  'tls-subject': { type: 'string', multiple: true },
  'max-frame-bytes': { type: 'string' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parse>['values'];

/** @throws DnstapError `DNSTAP_ERR_OPTION` */
export function parseCommandLine(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help === true) return { action: 'help' };
  if (values.version === true) return { action: 'version' };
  const [action, target, ...rest] = positionals;
  if (target === undefined || rest.length > 0) throw refuse('expected decode FILE or receive ENDPOINT');
  if (action === 'decode') {
    refuseReceiveOptions(values);
    return { action, file: target, ...outputOptions(values) };
  }
  if (action === 'receive') return { action, endpoint: target, ...outputOptions(values), ...receiveOptions(values) };
  throw refuse(`expected decode or receive, found ${action}`);
}

const RECEIVE_OPTIONS = ['socket-mode', 'allow', 'tls-cert', 'tls-key', 'tls-ca', 'tls-subject'] as const;

function refuseReceiveOptions(values: Values): void {
  const found = RECEIVE_OPTIONS.find((name) => values[name] !== undefined);
  if (found !== undefined) throw refuse(`--${found} goes with receive, not with decode`);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    throw new DnstapError('DNSTAP_ERR_OPTION', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function outputOptions(values: Values): OutputOptions {
  if (values.json === true && values.yaml === true) throw refuse('--json and --yaml exclude each other');
  const text = values['max-frame-bytes'];
  return {
    format: outputFormat(values),
    writePath: values.write,
    maxFrameBytes: text === undefined ? undefined : Number(text),
  };
}

function outputFormat(values: Values): OutputFormat {
  if (values.json === true) return 'json';
  if (values.yaml === true) return 'yaml';
  return values.write === undefined ? 'line' : 'none';
}

function receiveOptions(values: Values): ReceiveOptions {
  return { socketMode: socketMode(values['socket-mode']), allowedAddresses: values.allow, tls: tlsFiles(values) };
}

function socketMode(text: string | undefined): number {
  if (text === undefined) return DEFAULT_SOCKET_MODE;
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
  throw refuse(`expected an octal mode like 0660, found ${text}`);
}

function tlsFiles(values: Values): ReceiveOptions['tls'] {
  const { 'tls-cert': cert, 'tls-key': key, 'tls-ca': ca, 'tls-subject': subjects } = values;
  if (cert === undefined && key === undefined && ca === undefined && subjects === undefined) return undefined;
  if (cert === undefined || key === undefined) throw refuse('TLS needs --tls-cert and --tls-key');
  return { cert, key, ...(ca !== undefined && { ca }), ...(subjects !== undefined && { subjects }) };
}

function refuse(message: string): DnstapError {
  return new DnstapError('DNSTAP_ERR_OPTION', message);
}
