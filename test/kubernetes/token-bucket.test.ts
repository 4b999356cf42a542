import { TokenBucket } from '../../src/kubernetes/token-bucket.js';

const signal = new AbortController().signal;

/** Takes tokens at one moment; how many were there without waiting. */
async function takeNow(bucket: TokenBucket, tries: number): Promise<number> {
  let taken = 0;
  const stop = new AbortController();
  const takes = Array.from({ length: tries }, async () => bucket.take(stop.signal).then(() => (taken += 1)));
  await new Promise((resolve) => setImmediate(resolve));
  const now = taken;
  stop.abort();
  await Promise.all(takes);
  return now;
}

describe('TokenBucket', () => {
  it('gives what was saved up at once, and then a token at a time', async () => {
    let nowMs = 0;
    const bucket = new TokenBucket({ perSecond: 10, burst: 3, monotonicMs: () => nowMs });
    expect(await takeNow(bucket, 3)).toBe(3);
    nowMs = 99;
    expect(await takeNow(bucket, 1)).toBe(0); // it has taken the one that comes at 100
    nowMs = 200;
    expect(await takeNow(bucket, 2)).toBe(1);
  });

  it('saves up no more than its burst', async () => {
    let nowMs = 0;
    const bucket = new TokenBucket({ perSecond: 10, burst: 3, monotonicMs: () => nowMs });
    nowMs = 3_600_000;
    expect(await takeNow(bucket, 10)).toBe(3);
  });

  it('gives nothing while it is held', async () => {
    let nowMs = 0;
    const bucket = new TokenBucket({ perSecond: 10, burst: 3, monotonicMs: () => nowMs });
    bucket.hold(1000);
    nowMs = 1000;
    expect(await takeNow(bucket, 1)).toBe(0);
    nowMs = 1200;
    expect(await takeNow(bucket, 1)).toBe(1);
  });

  it('lets go whoever waits when the signal aborts', async () => {
    const bucket = new TokenBucket({ perSecond: 0.001, burst: 1 });
    await bucket.take(signal);
    const stop = new AbortController();
    const waiting = bucket.take(stop.signal);
    stop.abort();
    await expect(waiting).resolves.toBeUndefined();
  });
});
