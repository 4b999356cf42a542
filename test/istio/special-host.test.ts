import { loadConfiguration } from '../../src/config/load.js';
import { reconcileSettings } from '../../src/app/reconcile-settings.js';
import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import { parseSpecialHost, type SpecialForm, type SpecialHost } from '../../src/istio/special-host.js';
import { validateServiceEntry } from '../../src/istio/validation/validate-service-entry.js';
import { analyze } from '../support/istioctl.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';

const GOOD: readonly (readonly [SpecialForm, string])[] = [
  ['ranges', 'db.example.com 5432 198.51.100.0/24'],
  ['ranges', 'mail.example.com 25,587 198.51.100.0/24,2001:db8::/32'],
  ['dns', 'db.example.net 5432/TCP,443/TLS'],
  ['dns', 'api.example.net 443/TLS'],
  ['dynamic-dns', '*.example.org'],
];

function read(form: SpecialForm, line: string): SpecialHost {
  const special = parseSpecialHost(form, line);
  if ('problem' in special) throw new Error(special.problem);
  return special;
}

const entryOf = (form: SpecialForm, line: string) =>
  buildServiceEntry({ ...read(form, line), namespace: 'shop', owner: 'main' });

describe('parseSpecialHost', () => {
  it('reads ranges, sorted, with TCP only', () => {
    expect(entryOf('ranges', 'mail.example.com 587,25 2001:db8::/32,198.51.100.0/24').spec).toEqual({
      hosts: ['mail.example.com'],
      addresses: ['198.51.100.0/24', '2001:db8::/32'],
      exportTo: ['.'],
      location: 'MESH_EXTERNAL',
      resolution: 'NONE',
      ports: [
        { name: 'tcp-25', number: 25, protocol: 'TCP' },
        { name: 'tcp-587', number: 587, protocol: 'TCP' },
      ],
    });
  });

  it('reads a host that proxies resolve, without addresses', () => {
    expect(entryOf('dns', 'db.example.net 5432/TCP,443/TLS').spec).toMatchObject({
      resolution: 'DNS',
      ports: [{ number: 443 }, { number: 5432 }],
    });
    expect(entryOf('dns', 'db.example.net 5432/TCP').spec).not.toHaveProperty('addresses');
  });

  it.each<[SpecialForm, string]>([
    ['ranges', 'db.example.com 5432'],
    ['ranges', 'db.example.com 5432 198.51.100.7'],
    ['ranges', 'db.example.com 5432 198.51.100.7/32'],
    ['ranges', '*.example.com 5432 198.51.100.0/24'],
    ['ranges', 'db.example.com 15001 198.51.100.0/24'],
    ['ranges', 'db.example.com 5432/TCP 198.51.100.0/24'],
    ['ranges', 'db.example.com 5432,5432 198.51.100.0/24'],
    ['dns', '*.example.com 443/TLS'],
    ['dns', 'db.example.com 5432/POSTGRES'],
    ['dns', 'db.example.com 443/HTTP'],
    ['dns', 'db.example.com 443/TLS 198.51.100.0/24'],
    ['dns', 'Db.example.com 443/TLS'],
    ['dynamic-dns', 'www.example.com'],
    ['dynamic-dns', '*.com'],
    ['dynamic-dns', '*.s3.amazonaws.com'],
  ])('refuses as %s: %s', (form, line) => {
    expect(parseSpecialHost(form, line)).toMatchObject({ problem: expect.any(String) });
  });
});

describe('the settings', () => {
  const settingsOf = (flags: Readonly<Record<string, string | boolean | readonly string[]>>) =>
    reconcileSettings(loadConfiguration({ flags, environment: {} }), { graceMs: () => 0 });

  it('know each special host by its name', () => {
    const settings = settingsOf({
      'istio-tcp-ranges': ['db.example.com 5432 198.51.100.0/24'],
      'istio-dns-capture': true,
      'istio-dns-hosts': ['db.example.net 5432/TCP'],
      'istio-dynamic-dns-hosts': ['*.example.org'],
    });
    expect([...(settings.specialHosts ?? new Map())].map(([name, { resolution }]) => `${name} ${resolution}`)).toEqual([
      'db.example.com NONE',
      'db.example.net DNS',
      '*.example.org DYNAMIC_DNS',
    ]);
    expect(settings.policy.capturesDns).toBe(true);
  });

  it.each([
    ['istio.dnsHosts', { 'istio-dns-hosts': ['db.example.net 5432/TCP'] }], // proxies do not capture DNS
    ['istio.tcpRanges', { 'istio-tcp-ranges': ['db.example.com 5432'] }],
    [
      'istio.tcpRanges',
      { 'istio-tcp-ranges': ['db.example.com 5432 198.51.100.0/24', 'db.example.com 5433 198.51.100.0/24'] },
    ],
  ])('are refused by the name of %s', (setting, flags) => {
    expect(() => settingsOf(flags)).toThrow(
      expect.objectContaining({ code: 'CONFIGURATION_INVALID', problems: [expect.objectContaining({ setting })] }),
    );
  });
});

describe('the judges', () => {
  let server: KubeApiserver;

  beforeAll(async () => {
    server = await startKubeApiserver({ crds: 'istio-crds' });
    await server.kubectl(['create', 'namespace', 'shop']);
  }, 120_000);

  afterAll(async () => {
    await server.stop();
  });

  it.each(GOOD)('take an entry for %s %s', async (form, line) => {
    const entry = entryOf(form, line);
    const isTcp = form === 'dns' && line.includes('TCP');
    // What a person has to opt into: without capture the port would be every host's.
    expect(validateServiceEntry(entry).map(({ code }) => code)).toEqual(isTcp ? ['port-open-without-capture'] : []);
    const created = server.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(entry));
    await expect(created).resolves.toContain('created');
    const said = (await analyze([entry])).map(({ code }) => code);
    expect(said).toEqual(isTcp ? ['IST0134'] : []);
  });
});
