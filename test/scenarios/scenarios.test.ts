import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { runScenario } from './run-scenario.js';
import { parseScenario, readScenario } from './scenario-schema.js';

const DIRECTORY = join(ROOT, 'test', 'scenarios');
const FILES = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith('.yaml'))
  .sort();

describe('scenario', () => {
  it.each(FILES)('%s', async (name) => {
    const file = join(DIRECTORY, name);
    for (const { step, expected, actual } of await runScenario(readScenario(file), file)) {
      expect({ step, ...actual }).toEqual({ step, ...expected });
    }
  });
});

describe('a scenario that is wrong', () => {
  const scenario = (lines: string): string => `title: sample\npods:\n  shop/web: { ip: 10.244.0.7 }\n${lines}`;
  const checks = async (lines: string): Promise<readonly { readonly expected: object; readonly actual: object }[]> =>
    runScenario(parseScenario(scenario(lines), 'sample.yaml'), 'sample.yaml');
  const message = 'messages:\n  - { from: shop/web, asks: www.example.com A, answers: [192.0.2.1] }\n';

  it.each([
    ['an unknown key', `${message}expects: {}\n`],
    ['an unknown key of a message', 'messages:\n  - { from: shop/web, ask: www.example.com A }\nexpect: {}\n'],
    ['an unknown reason', 'expect: { rejected: { weather: 1 } }\n'],
    ['an unknown state', 'expect: { hosts: { www.example.com: { state: fine, workloads: {} } } }\n'],
    ['an unknown record type', 'messages:\n  - { from: shop/web, asks: www.example.com WKS }\nexpect: {}\n'],
    ['an unknown setting', 'settings: { observation: { mood: good } }\nexpect: {}\n'],
    ['a pod that is not there', 'messages:\n  - { from: shop/db, asks: www.example.com A }\nexpect: {}\n'],
    ['nothing expected', message],
  ])('is refused: %s', async (_, lines) => {
    const code = lines.startsWith('settings') ? 'CONFIGURATION_INVALID' : 'SCENARIO_INVALID';
    await expect(checks(lines)).rejects.toMatchObject({ code });
  });

  it.each([
    ['a host that is not expected', `${message}expect: {}\n`],
    ['a host that is missing', 'expect: { hosts: { www.example.com: { workloads: {} } } }\n'],
    [
      'another number of look-ups',
      `${message}expect: { hosts: { www.example.com: { workloads: { exact shop/Pod/web: 2 } } } }\n`,
    ],
    ['another workload', `${message}expect: { hosts: { www.example.com: { workloads: { exact shop/Pod/db: 1 } } } }\n`],
    ['a reason that is missing', 'expect: { rejected: { nxdomain: 1 } }\n'],
  ])('is seen: %s', async (_, lines) => {
    const [checked] = await checks(lines);
    expect(checked?.actual).not.toEqual(checked?.expected);
  });
});
