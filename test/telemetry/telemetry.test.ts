import { PassThrough, Writable } from 'node:stream';
import { Health } from '../../src/telemetry/health.js';
import { createLogger, type LogLevel } from '../../src/telemetry/logger.js';
import { Metrics } from '../../src/telemetry/metrics.js';

const NOON_MS = Date.UTC(2026, 0, 1, 12);

function loggerTo(stream: Writable, format: 'json' | 'text', level: LogLevel = 'info') {
  return createLogger({ level, format, stream, now: () => NOON_MS });
}

describe('the logger', () => {
  it('writes one JSON object a line: time, level, constant message, facts, errors with code and cause', () => {
    const stream = new PassThrough();
    const err = Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'E_OUTER' });
    loggerTo(stream, 'json').child({ component: 'c' }).warn({ err, count: 2 }, 'it failed');
    expect(JSON.parse(String(stream.read()))).toEqual({
      time: '2026-01-01T12:00:00.000Z',
      level: 'warn',
      msg: 'it failed',
      component: 'c',
      err: { name: 'Error', message: 'outer', code: 'E_OUTER', cause: { name: 'Error', message: 'inner' } },
      count: 2,
    });
  });

  it('writes readable lines for a terminal', () => {
    const stream = new PassThrough();
    loggerTo(stream, 'text').info({ endpoint: 'unix:///run/x', note: 'two words' }, 'listening');
    expect(String(stream.read())).toBe('12:00:00.000 info  listening endpoint=unix:///run/x note="two words"\n');
  });

  it('leaves out what is below its level', () => {
    const stream = new PassThrough();
    loggerTo(stream, 'json').debug({}, 'quiet');
    expect(stream.read()).toBeNull();
  });

  it('never waits for a reader that has stopped: drops lines, and says how many when it goes on', () => {
    const written: string[] = [];
    let resume = (): void => undefined;
    const stream = new Writable({
      decodeStrings: false,
      write: (chunk: string, _, callback) => {
        written.push(chunk);
        resume = callback;
      },
    });
    const log = loggerTo(stream, 'json');
    for (let i = 0; i < 20_000; i++) log.info({ filler: 'x'.repeat(100) }, 'line');
    expect(stream.writableLength).toBeLessThan(1_200_000);
    while (stream.writableLength > 0) resume();
    log.info({}, 'again');
    expect(JSON.parse(written.at(-1) ?? '')).toMatchObject({ msg: 'again', droppedLines: expect.any(Number) });
  });
});

describe('metrics', () => {
  it('ask for their values at each scrape', async () => {
    const metrics = new Metrics();
    let count = 1;
    metrics.counterBy('reason', { name: 'test_total', help: 'counts' }, () => new Map([['nxdomain', count]]));
    metrics.gauge('test_depth', 'measures', () => count);
    await metrics.text();
    count = 5;
    const text = await metrics.text();
    expect(text).toContain('istio_discovery_test_total{reason="nxdomain"} 5');
    expect(text).toContain('istio_discovery_test_depth 5');
  });
});

describe('health', () => {
  it('names only what is not ready', () => {
    const health = new Health();
    health.register('a', () => undefined);
    health.register('b', () => 'no connection');
    expect([...health.notReady()]).toEqual([['b', 'no connection']]);
  });
});
