import { Resolver } from 'node:dns/promises';
import { INTERNET_NAMES, MANY_ADDRESSES, startSmallInternet, type SmallInternet } from './small-internet.js';

let internet: SmallInternet;
let resolver: Resolver;

beforeAll(async () => {
  internet = await startSmallInternet();
  resolver = new Resolver();
  resolver.setServers([internet.address]);
});

async function addressesOf(name: string): Promise<readonly string[]> {
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
}

it.each([...INTERNET_NAMES.resolving, ...INTERNET_NAMES.underscore])('%s has an address', async (name) => {
  expect(await addressesOf(name)).not.toEqual([]);
});

it.each(INTERNET_NAMES.nodata)('%s exists without an address', async (name) => {
  await expect(resolver.resolve4(name)).rejects.toMatchObject({ code: 'ENODATA' });
});

it.each([...INTERNET_NAMES.nxdomain, ...INTERNET_NAMES.dangling])('%s does not resolve', async (name) => {
  await expect(resolver.resolve4(name)).rejects.toMatchObject({ code: 'ENOTFOUND' });
});

it.each(INTERNET_NAMES.failing)('%s fails', async (name) => {
  await expect(resolver.resolve4(name)).rejects.toMatchObject({ code: 'ESERVFAIL' });
});

it('answers every other query for a flaky name', async () => {
  const impatient = new Resolver({ timeout: 200, tries: 1 });
  impatient.setServers([internet.address]);
  const ask = async () => impatient.resolve4(`www.${INTERNET_NAMES.flakyDomain}`).catch((error) => error.code);
  const outcomes = [await ask(), await ask(), await ask(), await ask()];
  expect(outcomes.filter((outcome) => outcome === 'ETIMEOUT')).toHaveLength(2);
  expect(outcomes.filter((outcome) => outcome !== 'ETIMEOUT')).toEqual([['192.0.2.53'], ['192.0.2.53']]);
});

it('follows a CNAME chain of three links over three zones', async () => {
  expect(await resolver.resolve4('chain.example.com')).toEqual(['203.0.113.20']);
  expect(await resolver.resolve6('chain.example.com')).toEqual(['2001:db8:2::20']);
});

it('answers by TCP what does not fit into UDP', async () => {
  expect(await resolver.resolve4('many.example.com')).toHaveLength(MANY_ADDRESSES);
});

it('has an address for every name of the wildcard domain', async () => {
  const name = `www.example.com.${INTERNET_NAMES.wildcardDomain}`;
  expect(await resolver.resolve4(name)).toEqual(['203.0.113.99']);
});

it('serves the types that are no hosts', async () => {
  expect(await resolver.resolveSrv('_https._tcp.example.com')).toMatchObject([{ name: 'www.example.com', port: 443 }]);
  expect(await resolver.resolveMx('example.com')).toMatchObject([{ exchange: 'mail.example.com' }]);
  expect(await resolver.resolveTxt('text.example.com')).toEqual([['no address here']]);
  expect(await resolver.reverse('192.0.2.10')).toEqual(['www.example.com']);
});
