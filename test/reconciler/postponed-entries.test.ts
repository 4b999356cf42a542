import { PostponedEntries } from '../../src/reconciler/postponed-entries.js';
import type { SinkFailure } from '../../src/reconciler/sink.js';

let nowMs: number;
let postponed: PostponedEntries;

beforeEach(() => {
  nowMs = 1_000_000;
  postponed = new PostponedEntries({ monotonicMs: () => nowMs });
});

function failure(code: string): SinkFailure {
  return { namespace: 'shop', name: 'learned-a', host: 'a.example.com', code, message: code };
}

/** How long an entry waits after each of its first failures in a row, in seconds. */
function waits(code: string, failures: number): readonly number[] {
  return Array.from({ length: failures }, () => {
    const failedMs = nowMs;
    postponed.fail('shop/learned-a', 'what', failure(code));
    while (postponed.find('shop/learned-a', 'what') !== undefined) nowMs += 500;
    return (nowMs - failedMs) / 1000;
  });
}

describe('PostponedEntries', () => {
  it('doubles the wait with each failure, by the class of the error', () => {
    expect(waits('KUBERNETES_ERR_SERVER', 9)).toEqual([0.5, 1, 2, 4, 8, 16, 32, 60, 60]);
    expect(waits('KUBERNETES_ERR_INVALID', 9)).toEqual([5, 10, 20, 40, 80, 160, 320, 600, 600]);
  });

  it('begins anew after a success, and with something else to do', () => {
    waits('KUBERNETES_ERR_INVALID', 3);
    postponed.fail('shop/learned-a', 'what', failure('KUBERNETES_ERR_INVALID'));
    expect(postponed.find('shop/learned-a', 'something else')).toBeUndefined();
    postponed.succeed('shop/learned-a');
    expect(waits('KUBERNETES_ERR_INVALID', 1)).toEqual([5]);
  });

  it('lets an entry be created again at once after its first deletion, and ever more rarely after further ones', () => {
    const seconds = ['a', 'b', 'c', 'd'].map((uid) => {
      postponed.noteDeletion('shop/learned-a', uid);
      postponed.noteDeletion('shop/learned-a', uid); // told again: it is the same object
      const deletedMs = nowMs;
      while (postponed.deletionsOf('shop/learned-a') !== undefined) nowMs += 500;
      return (nowMs - deletedMs) / 1000;
    });
    expect(seconds).toEqual([0, 15, 30, 60]);
    nowMs += 7_200_000;
    postponed.noteDeletion('shop/learned-a', 'e');
    expect(postponed.deletionsOf('shop/learned-a')).toBeUndefined();
  });

  it('forgets what is not planned any more', () => {
    postponed.fail('shop/learned-a', 'what', failure('KUBERNETES_ERR_INVALID'));
    postponed.retain(new Set(['shop/learned-b']));
    expect(postponed.find('shop/learned-a', 'what')).toBeUndefined();
  });
});
