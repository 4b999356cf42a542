import { join } from 'node:path';
import { COMPANY_SEARCH_DOMAIN } from './workload.js';
import { CANDIDATES, firstLine, forEachName, PROGRAMS, type Candidate, type PodResolver } from './programs.js';

// Programs and settings of a pod's resolver that are recorded, but not run in every test run.

const PLAIN_ADDRESSES = `grep -E '^[0-9.]+$|^[0-9a-f:]+$'`;
const script = (name: string): string => join(PROGRAMS, name);

/** Programs with a resolver of their own, in the usual pod. */
const OTHERS: readonly Candidate[] = [
  python('dnspython', 'dns.resolver'),
  python('dnspython-search', 'dns.resolver'),
  python('pycares', 'pycares'),
  python('twisted', 'twisted.names'),
  {
    name: 'php-records',
    needs: ['php'],
    version: async () => `dns_get_record of ${await firstLine('php', '--version')}`,
    command: async () => ['php', script('look_up.php'), 'records'],
  },
  {
    name: 'php-hostbyname',
    needs: ['php'],
    version: async () => `gethostbynamel of ${await firstLine('php', '--version')}`,
    command: async () => ['php', script('look_up.php'), 'hostbyname'],
  },
  {
    name: 'ruby',
    needs: ['ruby'],
    version: async () => `Resolv of ${await firstLine('ruby', '--version')}`,
    command: async () => ['ruby', script('look_up.rb')],
  },
  {
    name: 'perl-net-dns',
    needs: ['perl'],
    version: async () => `Net::DNS ${await firstLine('perl', '-MNet::DNS', '-e', 'print Net::DNS->version')}`,
    command: async () => ['perl', script('look_up.pl')],
  },
  {
    name: 'erlang',
    needs: ['escript'],
    version: async () =>
      `inet_res of Erlang ${await firstLine('erl', '-noshell', '-eval', 'io:put_chars(erlang:system_info(otp_release)), halt().')}`,
    command: async () => ['escript', script('look_up.escript')],
  },
  {
    name: 'hickory',
    needs: ['hickory-look-up'],
    version: async () => 'hickory-resolver 0.25.2',
    command: async () => ['hickory-look-up'],
  },
  {
    name: 'bun',
    needs: ['bun'],
    version: async () => `dns.lookup of Bun ${await firstLine('bun', '--version')}`,
    command: async () => ['bun', script('look-up.mjs'), 'lookup'],
  },
  {
    name: 'bun-resolve',
    needs: ['bun'],
    version: async () => `dns.resolve4 and dns.resolve6 of Bun ${await firstLine('bun', '--version')}`,
    command: async () => ['bun', script('look-up.mjs'), 'resolve'],
  },
  {
    name: 'deno-resolve',
    needs: ['deno'],
    version: async () => `dns.resolve4 and dns.resolve6 of ${await firstLine('deno', '--version')}`,
    command: async () => ['deno', 'run', '-A', '--no-config', script('look-up.mjs'), 'resolve'],
  },
  {
    name: 'grpc-go',
    needs: ['grpc-look-up'],
    version: async () =>
      `DNS resolver of grpc-go 1.70.0, ${(await firstLine('go', 'version', await pathOf('grpc-look-up'))).split(': ').at(-1)}`,
    command: async () => ['grpc-look-up'],
  },
  {
    name: 'netty',
    needs: ['java', 'java-libraries'],
    version: async () => 'DnsNameResolver of Netty 4.1.115',
    command: async () => java('NettyLookUp.java'),
  },
  {
    name: 'dnsjava',
    needs: ['java', 'java-libraries'],
    version: async () => 'dnsjava 3.6.2',
    command: async () => java('DnsjavaLookUp.java'),
    asksForTargets: true,
  },
  {
    name: 'dig-search',
    needs: ['dig'],
    version: async () => firstLine('sh', '-c', 'dig -v 2>&1'),
    command: async () => forEachName(`dig +short +search "$name" A "$name" AAAA | ${PLAIN_ADDRESSES} | sort -u`),
  },
  {
    name: 'host',
    needs: ['host'],
    version: async () => firstLine('sh', '-c', 'host -V 2>&1'),
    command: async () => forEachName(`host "$name" | sed -n 's/.* has \\(IPv6 \\)*address //p' | sort -u`),
    asksForTargets: true,
  },
  {
    name: 'nslookup',
    needs: ['nslookup'],
    version: async () => firstLine('sh', '-c', 'nslookup -version 2>&1'),
    command: async () => forEachName(`nslookup "$name" | sed -n '/^Name:/,$ s/^Address: //p' | sort -u`),
    asksForTargets: true,
  },
  {
    name: 'kdig',
    needs: ['kdig'],
    version: async () => firstLine('kdig', '--version'),
    command: async () =>
      forEachName(`for type in A AAAA; do kdig +short "$name" $type; done | ${PLAIN_ADDRESSES} | sort -u`),
  },
  {
    name: 'udns',
    needs: ['dnsget'],
    version: async () => firstLine('sh', '-c', 'dnsget -h | head -n 1'),
    command: async () =>
      forEachName(`for type in A AAAA; do dnsget -q -t $type "$name"; done 2>&1 | ${PLAIN_ADDRESSES} | sort -u`),
  },
  ...['dnsmasq', 'unbound', 'nscd', 'systemd-resolved'].map(behind),
];

/** Resolver settings of pods, by what their recordings are called. */
const SETTINGS: Readonly<Record<string, PodResolver>> = {
  'ndots-1': { resolverOptions: 'ndots:1' },
  'ndots-2': { resolverOptions: 'ndots:2 edns0 trust-ad' },
  'ndots-15': { resolverOptions: 'ndots:15' },
  'single-request': { resolverOptions: 'ndots:5 single-request' },
  'use-vc': { resolverOptions: 'ndots:5 use-vc' },
  rotate: { resolverOptions: 'ndots:5 rotate', twoNameservers: true },
  'no-search': { searchDomains: [] },
  'long-search': { nodeSearchDomains: ['eu-west-1.compute.example.com', COMPANY_SEARCH_DOMAIN] },
};

const WITH_SETTINGS: Readonly<Record<string, readonly string[]>> = {
  glibc: Object.keys(SETTINGS),
  musl: ['ndots-1', 'long-search'],
  go: ['ndots-1', 'rotate', 'long-search'],
  java: ['long-search'],
  pycares: ['rotate', 'long-search'],
  'dnspython-search': ['ndots-1'],
  hickory: ['long-search'],
  erlang: ['long-search'],
  netty: ['ndots-1'],
};

export const MORE_CANDIDATES: readonly Candidate[] = [
  ...OTHERS,
  ...Object.entries(WITH_SETTINGS).flatMap(([name, settings]) => settings.map((setting) => withSetting(name, setting))),
];

function python(name: string, module: string): Candidate {
  const version = `import importlib.metadata as m; print(m.version('${name.replace('-search', '')}'))`;
  return {
    name,
    needs: [`python3:${module}`],
    version: async () => `${name} ${await firstLine('python3', '-c', version)}`,
    command: async () => ['python3', script('look_up.py'), name],
  };
}

async function pathOf(command: string): Promise<string> {
  return firstLine('sh', '-c', `command -v ${command}`);
}

/** `java-libraries` prints the directory of the libraries. */
async function java(file: string): Promise<readonly string[]> {
  return ['java', '-cp', `${await firstLine('java-libraries')}/*`, script(file)];
}

/** The C library behind a cache of the pod's own. */
function behind(cache: string): Candidate {
  const loop = forEachName(`getent ahosts "$name" | cut -d ' ' -f 1 | sort -u`);
  return {
    name: `glibc-and-${cache}`,
    needs: ['getent', cache],
    version: async () => `${await firstLine('getent', '--version')} behind ${cache}`,
    command: async () => [script('behind.sh'), cache, ...loop],
    ...(cache === 'unbound' ? { asksForTargets: true } : {}),
  };
}

function withSetting(name: string, setting: string): Candidate {
  const candidate = [...CANDIDATES, ...OTHERS].find((one) => one.name === name);
  if (candidate === undefined) throw new Error(`there is no program ${name}`);
  return { ...candidate, name: `${name}-${setting}`, resolver: SETTINGS[setting] ?? {} };
}
