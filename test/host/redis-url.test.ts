import { parseRedisUrl } from '../../src/host/redis-url.js';

const LOCATION = { tls: false, master: '', database: 0, username: undefined, password: undefined };
const endpoint = (host: string, port = 6379) => ({ host, port });

describe('the URL of a Redis', () => {
  it.each([
    ['redis://redis.example.com', { kind: 'single', endpoints: [endpoint('redis.example.com')] }],
    ['rediss://u%40x:p%2Fw@192.0.2.1:6380/3', { kind: 'single', tls: true, endpoints: [endpoint('192.0.2.1', 6380)], database: 3, username: 'u@x', password: 'p/w' }], // prettier-ignore
    ['redis://:secret@[2001:db8::1]:7000', { kind: 'single', endpoints: [endpoint('2001:db8::1', 7000)], password: 'secret' }], // prettier-ignore
    ['redis+sentinel://a.example.com,b.example.com:26380/main', { kind: 'sentinel', endpoints: [endpoint('a.example.com', 26_379), endpoint('b.example.com', 26_380)], master: 'main' }], // prettier-ignore
    ['rediss+sentinel://192.0.2.1/main/2', { kind: 'sentinel', tls: true, endpoints: [endpoint('192.0.2.1', 26_379)], master: 'main', database: 2 }], // prettier-ignore
    ['redis+cluster://192.0.2.1,[2001:db8::1]:7001/', { kind: 'cluster', endpoints: [endpoint('192.0.2.1'), endpoint('2001:db8::1', 7001)] }], // prettier-ignore
  ])('%s', (url, expected) => {
    expect(parseRedisUrl(url)).toEqual({ ...LOCATION, ...expected });
  });

  it.each([
    'redis://@',
    'http://192.0.2.1',
    'redis://a,b',
    'redis://a:0',
    'redis://a:65536',
    'redis://a/x',
    'redis://2001:db8::1',
    'redis://%zz@a',
    'redis+sentinel://a:1,b:2',
    'redis+cluster://a/1',
    'redis+other://a',
  ])('refuses %s without repeating what may hold a password', (url) => {
    let refusal: unknown;
    try {
      parseRedisUrl(url);
    } catch (err) {
      refusal = err;
    }
    expect(refusal).toMatchObject({ code: 'HOST_STORE_URL', message: expect.not.stringContaining(url) });
  });
});
