import { TestEnvironment } from 'jest-environment-node';
import type { Lifetime } from './lifetime.js';

/** As much of an event of jest-circus as is looked at here. */
interface TestEvent {
  readonly name: string;
  readonly test?: { readonly name: string; readonly errors: readonly unknown[] };
}

/**
 * The environment of tests with real parts: prints the end of each part's log when a test or a hook fails, and closes what
 * a test file left open.
 *
 * It lives outside the test's own modules (jest loads it before there are any), so it meets lifetime.ts on the global object.
 */
// oxlint-disable-next-line import/no-default-export -- jest takes an environment by its default export
export default class PartEnvironment extends TestEnvironment {
  handleTestEvent({ name, test }: TestEvent): void {
    const failed = name === 'hook_failure' || (name === 'test_done' && (test?.errors.length ?? 0) > 0);
    const logs = failed ? (this.#lifetime()?.describe() ?? '') : '';
    if (logs !== '') process.stderr.write(`\nparts of the failed test ${test?.name ?? ''}\n${logs}\n`);
  }

  override async teardown(): Promise<void> {
    await this.#lifetime()?.close();
    await super.teardown();
  }

  #lifetime(): Lifetime | undefined {
    // Only lifetime.ts writes the property; a test file without parts has none.
    return (this.global as { [key: symbol]: unknown })[Symbol.for('istio-discovery.test.lifetime')] as
      Lifetime | undefined;
  }
}
