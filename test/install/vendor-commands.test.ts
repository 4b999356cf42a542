import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { insertTap } from '../../src/install/corefile/insert-tap.js';
import { lexCorefile } from '../../src/install/corefile/lexer.js';
import { examine } from '../../src/install/examine.js';
import type { HelmServer } from '../../src/install/helm-servers.js';
import { runCommand } from '../support/command.js';
import { platformDirectory } from './platform.js';

const ENDPOINT = 'tcp://192.0.2.7:6000';

async function commandsFor(platform: string): Promise<readonly string[]> {
  const from = { directory: platformDirectory(platform) };
  return (await examine({ from, namespace: 'istio-discovery', endpoint: ENDPOINT })).steps?.commands ?? [];
}

/** The Corefile that runs, with the line. */
function tappedCorefile(platform: string): string {
  const { items } = parse(readFileSync(`${platformDirectory(platform)}/cluster.yaml`, 'utf8')) as {
    readonly items: readonly { readonly kind: string; readonly data?: { readonly Corefile?: string } }[];
  };
  const corefile = items.find(({ kind, data }) => kind === 'ConfigMap' && data?.Corefile !== undefined)?.data?.Corefile;
  const inserted = insertTap(corefile ?? '', { endpoint: ENDPOINT, version: '1.11.3' });
  if ('refused' in inserted) throw new Error(inserted.refused);
  return inserted.text;
}

/** What a shell hands to a tool: here one that prints it. */
async function handedTo(tool: string, body: string, command = ''): Promise<string> {
  return (await runCommand('sh', ['-c', `CLUSTER=mine\n${tool}() { ${body}; }\n${command}`])).stdout;
}

const wordsOf = (corefile: string): readonly string[] =>
  lexCorefile(Buffer.from(corefile)).tokens.map(({ text }) => text);

it('hands the Corefile to the EKS add-on as the value that it takes, byte for byte', async () => {
  const [command] = await commandsFor('eks');
  const args = (await handedTo('aws', String.raw`printf '%s\0' "$@"`, command)).split('\0');
  expect(args.slice(0, 6)).toEqual(['eks', 'update-addon', '--cluster-name', 'mine', '--addon-name', 'coredns']);
  const values = args[args.indexOf('--configuration-values') + 1] ?? '';
  expect(JSON.parse(values)).toEqual({ corefile: tappedCorefile('eks') });
});

it('hands the chart of RKE2 servers from which it makes the same Corefile', async () => {
  const [command] = await commandsFor('rke2');
  const object = parse(await handedTo('kubectl', 'cat', command)) as { spec: { valuesContent: string } };
  expect(object).toMatchObject({ kind: 'HelmChartConfig', metadata: { name: 'rke2-coredns' } });
  const { servers } = parse(object.spec.valuesContent) as { servers: readonly HelmServer[] };
  // As the template of the chart puts them together: coredns/helm charts/coredns/templates/configmap.yaml
  const corefile = servers
    .map(({ zones, port, plugins }) => {
      const keys = zones.map(({ scheme = '', zone }) => `${scheme}${zone}`).join(' ');
      const lines = plugins.map(({ name, parameters = '', configBlock }) => {
        return `${name} ${parameters}${configBlock === undefined ? '' : ` {\n${configBlock}\n}`}\n`;
      });
      return `${keys}:${port} {\n${lines.join('')}}\n`;
    })
    .join('');
  expect(wordsOf(corefile)).toEqual(wordsOf(tappedCorefile('rke2').replace('.:53', 'dns://.:53')));
});
