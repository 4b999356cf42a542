import { parseCorefile, type CorefileDirective, type ServerBlock } from './corefile/parser.js';

/** A server block in the values of the chart `coredns`. */
export interface HelmServer {
  readonly zones: readonly { readonly zone: string; readonly scheme?: string; readonly use_tcp?: true }[];
  readonly port: number;
  readonly plugins: readonly HelmPlugin[];
}

export interface HelmPlugin {
  readonly name: string;
  readonly parameters?: string;
  readonly configBlock?: string;
}

/** `[SCHEME://]ZONE[:PORT]` */
const KEY = /^(?:([a-z0-9]+:\/\/))?(.+?)(?::(\d+))?$/;
const DEFAULT_PORT = 53;
const PLAIN_DNS = 'dns://';

/**
 * A Corefile as the `servers` of the chart `coredns`; comments and layout are lost. Undefined where the values cannot say it:
 * imports, snippets, or several keys of a block with another port than 53 (the chart gives the port to the last one only).
 *
 * @see coredns/helm charts/coredns/templates/configmap.yaml and _helpers.tpl (`coredns.servicePorts`)
 */
export function helmServers(corefile: string): readonly HelmServer[] | undefined {
  const bytes = Buffer.from(corefile);
  const parsed = parseCorefile(bytes);
  if ('problem' in parsed || parsed.tokens.some(({ text }) => text === 'import')) return undefined;
  const servers = parsed.blocks.map((block) => toServer(block, bytes));
  return servers.every((server) => server !== undefined) ? servers : undefined;
}

function toServer({ keys, directives }: ServerBlock, bytes: Buffer): HelmServer | undefined {
  const parts = keys.map(({ text }) => KEY.exec(text) ?? []);
  const ports = new Set(parts.map(([, , , port]) => Number(port ?? DEFAULT_PORT)));
  const [port = DEFAULT_PORT] = ports;
  if (ports.size !== 1 || (keys.length > 1 && port !== DEFAULT_PORT)) return undefined;
  const isPlain = parts.every(([, scheme = PLAIN_DNS]) => scheme === PLAIN_DNS);
  return {
    zones: parts.map(([, scheme, zone = '']) => {
      // The chart makes the ports of the Service from this too, and some versions of it leave out TCP unless told.
      if (isPlain) return { zone, scheme: PLAIN_DNS, use_tcp: true };
      return { zone, ...(scheme !== undefined && { scheme }) };
    }),
    port,
    plugins: directives.map((directive) => toPlugin(directive, bytes)),
  };
}

/** Arguments and block as they are written, the block without its braces and its indentation. */
function toPlugin({ name, tokens }: CorefileDirective, bytes: Buffer): HelmPlugin {
  const open = tokens.find(({ text, line }) => text === '{' && line === name.lastLine);
  const words = tokens.slice(1).filter(({ start }) => open === undefined || start < open.start);
  const [first, last, close] = [words[0], words.at(-1), tokens.at(-1)];
  const parameters = first && last && bytes.toString('utf8', first.start, last.end);
  const block = open && close && dedent(bytes.toString('utf8', open.end, close.start));
  return { name: name.text, ...(parameters && { parameters }), ...(block && { configBlock: block }) };
}

function dedent(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const indentation = Math.min(...lines.map((line) => /^\s*/.exec(line)?.[0].length ?? 0));
  return lines.map((line) => line.slice(indentation).trimEnd()).join('\n');
}
