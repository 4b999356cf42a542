import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigurationError, loadConfiguration, type ConfigurationProblem } from '../../src/config/load.js';
import { Secret } from '../../src/config/secret.js';
import { SETTINGS } from '../../src/config/settings.js';

function problemsOf(sources: Partial<Parameters<typeof loadConfiguration>[0]>): readonly ConfigurationProblem[] {
  try {
    loadConfiguration({ flags: {}, environment: {}, ...sources });
  } catch (err) {
    if (err instanceof ConfigurationError) return err.problems;
    throw err;
  }
  return [];
}

function fileOf(text: string): string {
  const file = join(mkdtempSync(join(tmpdir(), 'config-')), 'config.yaml');
  writeFileSync(file, text);
  return file;
}

describe('loadConfiguration', () => {
  it('has a default for everything that needs one', () => {
    const configuration = loadConfiguration({ flags: {}, environment: {} });
    expect(configuration).toMatchObject({
      dnstap: { endpoints: [], maxConnections: 1024 },
      observation: { privateAddresses: 'external', flushMs: 1000 },
      host: { policy: 'learn', stabilitySeconds: 0 },
      istio: { defaultNamespace: 'default', exportTo: ['.'] },
    });
  });

  it('takes flags over environment over file', () => {
    const file = fileOf('host:\n  policy: approve\n  stabilitySeconds: 5\nlog:\n  level: debug\n');
    const { host, log } = loadConfiguration({
      flags: { 'host-policy': 'frozen' },
      environment: { ISTIO_DISCOVERY_HOST_POLICY: 'observe', ISTIO_DISCOVERY_HOST_STABILITY_SECONDS: '7' },
      file,
    });
    expect([host.policy, host.stabilitySeconds, log.level]).toEqual(['frozen', 7, 'debug']);
  });

  it('reads lists from repeated flags and from a variable with commas', () => {
    const flags = { dnstap: ['unix:///run/a.sock', 'tcp://127.0.0.1:6000'] };
    const environment = { ISTIO_DISCOVERY_OBSERVATION_SEARCH_DOMAINS: 'corp.example, lab.example' };
    const { dnstap, observation } = loadConfiguration({ flags, environment });
    expect(dnstap.endpoints).toEqual(flags.dnstap);
    expect(observation.searchDomains).toEqual(['corp.example', 'lab.example']);
  });

  it.each([
    ['between commas', 'db.example.com 192.0.2.0/24 5432/TCP', ['db.example.com 192.0.2.0/24 5432/TCP']],
    ['one a line', 'port a.example.com 443/TLS,80/HTTP\n', ['port a.example.com 443/TLS,80/HTTP']],
    ['one a line, with blanks', '\n  a, b\n\n  c\n', ['a, b', 'c']],
    ['as a JSON array', ' ["a,b", "c"]\n', ['a,b', 'c']],
    ['as an empty JSON array', '[]', []],
    ['none', '', []],
  ])('reads a list from a variable: %s', (_, text, items) => {
    const environment = { ISTIO_DISCOVERY_ISTIO_TCP_RANGES: text };
    expect(loadConfiguration({ flags: {}, environment }).istio.tcpRanges).toEqual(items);
  });

  it.each(['["a"', '["a", 1]', '[["a"]]'])('refuses a variable that is no list of texts: %s', (text) => {
    const environment = { ISTIO_DISCOVERY_ISTIO_TCP_RANGES: text };
    expect(problemsOf({ environment }).map(({ setting }) => setting)).toEqual(['istio.tcpRanges']);
  });

  it('reads a share from a variable and from a flag, and says what one is', () => {
    const environment = { ISTIO_DISCOVERY_RECONCILE_MAX_DELETION_SHARE: '0.5' };
    expect(loadConfiguration({ flags: {}, environment }).reconcile.maxDeletionShare).toBe(0.5);
    const flags = { 'reconcile-max-deletion-share': '1.5' };
    expect(problemsOf({ flags })).toMatchObject([{ allowed: 'a number from 0 to 1' }]);
    expect(problemsOf({ flags: { 'reconcile-max-entries': '1.5' } })).toMatchObject([
      { allowed: expect.stringContaining('a whole number') as string },
    ]);
  });

  it.each([
    ['a certificate file without TLS', { store: 'redis://x', 'store-tls-ca-file': '/ca.pem' }, 'store.tlsCaFile'],
    ['a certificate without its key', { store: 'rediss://x', 'store-tls-cert-file': '/c' }, 'store.tlsCertFile'],
    ['a key without its certificate', { store: 'rediss://x', 'store-tls-key-file': '/k' }, 'store.tlsKeyFile'],
    ['two passwords', { 'store-password': 'a', 'store-password-file': '/p' }, 'store.passwordFile'],
    [
      'a client CA without a TLS endpoint',
      { dnstap: ['tcp://a:1'], 'dnstap-tls-client-ca-file': '/c' },
      'dnstap.tlsClientCaFile',
    ],
    ['a TLS endpoint without its key', { dnstap: ['tls://a:1'], 'dnstap-tls-cert-file': '/c' }, 'dnstap.endpoints'],
    [
      'allowed networks for a socket',
      { dnstap: ['/s'], 'dnstap-allowed-address': ['192.0.2.0/24'] },
      'dnstap.allowedAddresses',
    ],
    ['sentinels without the name of the master', { store: 'redis+sentinel://a:1,b:2' }, 'store.url'],
  ])('refuses %s', (_, flags, setting) => {
    expect(problemsOf({ flags }).map((problem) => problem.setting)).toEqual([setting]);
  });

  it('reports every problem at once: setting, value, what is allowed, where it came from', () => {
    const file = fileOf('host:\n  policy: learning\nreconcile:\n  intervallMs: 5\n');
    const problems = problemsOf({
      flags: { dnstap: ['http://x'] },
      environment: { ISTIO_DISCOVERY_LOG_LEVEL: 'loud', ISTIO_DISCOVERY_DNSTAP_MAX_CONNECTIONS: '0' },
      file,
    });
    expect(problems).toEqual([
      {
        setting: 'dnstap.endpoints',
        value: '["http://x"]',
        allowed: 'unix:///path, tcp://host:port or tls://host:port',
        from: 'flag --dnstap',
      },
      {
        setting: 'dnstap.maxConnections',
        value: '0',
        allowed: 'a whole number from 1 to 100000',
        from: 'environment ISTIO_DISCOVERY_DNSTAP_MAX_CONNECTIONS',
      },
      { setting: 'host.policy', value: '"learning"', allowed: 'observe, learn, approve, frozen', from: `file ${file}` },
      {
        setting: 'log.level',
        value: '"loud"',
        allowed: 'debug, info, warn, error',
        from: 'environment ISTIO_DISCOVERY_LOG_LEVEL',
      },
      {
        setting: 'reconcile.intervallMs (unknown)',
        value: '5',
        allowed: expect.stringContaining('reconcile.intervalMs'),
        from: `file ${file}`,
      },
    ]);
  });

  it('never shows a secret, neither a right one nor a misspelt one', () => {
    const problems = problemsOf({
      flags: { store: 'http://user:hunter2@redis' },
      environment: { ISTIO_DISCOVERY_STORE_PASWORD: 'hunter2', ISTIO_DISCOVERY_STORE_URLS: 'redis://:hunter2@redis' },
    });
    expect(problems).toHaveLength(3);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });

  it('passes over what Kubernetes puts into the environment for a Service of that name', () => {
    const environment = {
      ISTIO_DISCOVERY_SERVICE_HOST: '10.96.1.2',
      ISTIO_DISCOVERY_COLLECTOR_SERVICE_PORT_DNSTAP: '6000',
      ISTIO_DISCOVERY_COLLECTOR_PORT_6000_TCP_ADDR: '10.96.1.2',
      ISTIO_DISCOVERY_PORT: 'tcp://10.96.1.2:6000',
    };
    expect(problemsOf({ environment })).toEqual([]);
  });

  it.each([
    ['a file that is not there', '/nonexistent/config.yaml'],
    ['a file that is no YAML', fileOf('a: [')],
    ['a file that is a list', fileOf('- a')],
    ['a file that is a directory', tmpdir()],
  ])('refuses %s', (_, file) => {
    expect(problemsOf({ file })).toEqual([
      expect.objectContaining({ setting: 'config', value: JSON.stringify(file), from: 'flag --config' }),
    ]);
  });
});

it('says what belongs into a section that is none', () => {
  const [problem] = problemsOf({ file: fileOf('http: 8080') });
  expect(problem).toMatchObject({ setting: 'http', value: '8080', allowed: 'a section with address' });
});

describe('settings', () => {
  it('have names that are unique in every place', () => {
    for (const names of [SETTINGS.map(({ flag }) => flag), SETTINGS.map(({ environment }) => environment)]) {
      expect(new Set(names).size).toBe(names.length);
    }
  });
});

describe('Secret', () => {
  it('shows in no text, JSON or inspection', () => {
    const secret = new Secret('hunter2');
    expect([String(secret), JSON.stringify({ secret }), secret.reveal()]).toEqual([
      '[redacted]',
      '{"secret":"[redacted]"}',
      'hunter2',
    ]);
  });
});
