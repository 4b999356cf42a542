import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runCommand } from '../support/command.js';
import { partPath } from '../support/parts.js';
import { startProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { createRenderer, findObject, RELEASE, VALUE_SETS, type RenderedObject } from './chart.js';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string; readonly description: string };
}

interface Container {
  readonly args: readonly string[];
  readonly ports: readonly object[];
}

interface Dashboard {
  readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
}

let objects: readonly RenderedObject[];
let withSidecar: readonly RenderedObject[];
let rules: readonly Rule[];
let expressions: readonly string[];

beforeAll(async () => {
  const render = await createRenderer();
  objects = await render(VALUE_SETS['monitored'] ?? {});
  withSidecar = await render(VALUE_SETS['sidecar'] ?? {});
  rules = rulesIn(objects);
  const { data } = findObject(objects, 'ConfigMap', `${RELEASE}-dashboard`);
  const dashboard = JSON.parse(data?.['istio-discovery.json'] ?? '{}') as Dashboard;
  const shown = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  expressions = [
    ...[...rules, ...rulesIn(withSidecar)].map(({ expr }) => expr),
    ...shown.map((expr) => expr.replaceAll('$namespace', 'example')),
  ];
});

function rulesIn(rendered: readonly RenderedObject[]): readonly Rule[] {
  const { groups } = findObject(rendered, 'PrometheusRule', RELEASE).spec as { groups: { rules: Rule[] }[] };
  return groups.flatMap((group) => group.rules);
}

it('Prometheus can read every expression of alerts and dashboard', async () => {
  expect(expressions.length).toBeGreaterThan(15);
  await runCommand(await partPath('parse-promql'), [], { input: expressions.join('\n') });
});

it('every metric that they name is one of the program', async () => {
  const directory = createTemporaryDirectory();
  const program = await startProgram('run', [
    `--dnstap=unix://${directory.file('dnstap.sock')}`,
    `--store=embedded://${directory.file('store')}`,
    `--output=${directory.file('service-entries')}`,
  ]);
  const text = await (await fetch(`${program.url}/metrics`)).text();
  await program.stop();
  const there = new Set(Array.from(text.matchAll(/^# TYPE (\S+)/gm), ([, name]) => name));
  const named = expressions.flatMap((expr) => expr.match(/\b(?:istio_discovery|process)_\w+/g) ?? []);
  expect(new Set(named).size).toBeGreaterThan(10);
  expect(named.filter((name) => !there.has(name))).toEqual([]);
});

it('the operations page says of every alert what to do', () => {
  const page = readFileSync(join(ROOT, 'deploy/OPERATIONS.md'), 'utf8');
  const headings = Array.from(page.matchAll(/^### (IstioDiscovery\w+)$/gm), ([, name]) => name);
  expect(new Set(headings)).toEqual(new Set(rules.map(({ alert }) => alert)));
  expect(headings).toHaveLength(rules.length);
});

describe('in mode sidecar', () => {
  it('has the same alerts', () => {
    expect(rulesIn(withSidecar).map(({ alert }) => alert)).toEqual(rules.map(({ alert }) => alert));
  });

  it('the containers beside CoreDNS are scraped, by the name of their port, as metrics of this installation', () => {
    const { data } = findObject(withSidecar, 'ConfigMap', `${RELEASE}-sidecar`);
    const { container } = JSON.parse(data?.['sidecar.json'] ?? '{}') as { container: Container };
    const port = Number(container.args.find((each) => each.startsWith('--http-address='))?.split(':')[1]);
    expect(container.ports).toEqual([{ name: 'istio-discovery', containerPort: port, protocol: 'TCP' }]);
    const { spec, metadata } = findObject(withSidecar, 'PodMonitor', `${RELEASE}-sidecar`);
    expect(metadata.namespace).toBe(RELEASE);
    expect(spec).toEqual({
      namespaceSelector: { matchNames: ['kube-system'] },
      selector: { matchLabels: { 'k8s-app': 'kube-dns' } },
      podMetricsEndpoints: [
        {
          port: 'istio-discovery',
          interval: '30s',
          relabelings: [{ targetLabel: 'namespace', replacement: RELEASE }],
        },
      ],
    });
    expect(objects.filter(({ kind }) => kind === 'PodMonitor')).toEqual([]);
  });
});
