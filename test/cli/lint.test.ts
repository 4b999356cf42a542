import { writeFileSync } from 'node:fs';
import { ROOT, runCommand } from '../support/command.js';
import { TestSupportError } from '../support/test-support-error.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

const directory = createTemporaryDirectory();

const GOOD = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: shop}
spec: {hosts: [a.example.com], ports: [{name: tls, number: 443, protocol: TLS}]}
`;
const WARNED = GOOD.replace('TLS}', 'TCP}');
const BAD = GOOD.replace('a.example.com', 'a_b.example.com');

/** Exit status and standard output, also of a command that fails. */
async function lint(args: readonly string[], input = ''): Promise<{ status: unknown; stdout: string }> {
  try {
    const { stdout } = await runCommand(process.execPath, [`${ROOT}/dist/main.js`, 'lint', ...args], { input });
    return { status: 0, stdout };
  } catch (err) {
    if (!(err instanceof TestSupportError)) throw err;
    return { status: (err.cause as { code?: unknown }).code, stdout: err.message }; // what execFile gives
  }
}

describe('istio-discovery lint', () => {
  it.each([
    ['0 for entries without fault', GOOD, [], 0],
    ['0 for warnings', WARNED, [], 0],
    ['1 for warnings that should fail', WARNED, ['--fail-on', 'warning'], 1],
    ['1 for errors', BAD, [], 1],
    ['2 for a wrong flag', GOOD, ['--format', 'xml'], 2],
  ])('ends with %s', async (_what, input, flags, status) => {
    expect((await lint(['-', ...flags], input)).status).toBe(status);
  });

  it('ends with 2 and names the file that cannot be read', async () => {
    const missing = directory.file('missing.yaml');
    const { status, stdout } = await lint([missing]);
    expect([status, stdout.includes(missing)]).toEqual([2, true]);
  });

  it('prints a finding a line with its place, and what was looked at', async () => {
    const file = directory.file('entries.yaml');
    writeFileSync(file, `kind: Pod\n---\n${BAD}`);
    const { stdout } = await lint([file]);
    expect(stdout).toContain(
      `${file}:6:16: error: "a_b.example.com" is no domain name [host-syntax, by istiod] shop/a`,
    );
    expect(stdout).toContain('1 ServiceEntry checked: 1 error, 0 warnings. Skipped: 1 Pod.');
  });

  it('prints JSON', async () => {
    const { stdout } = await lint(['-', '--format', 'json'], WARNED);
    expect(JSON.parse(stdout)).toMatchObject({
      checked: 1,
      findings: [{ file: '-', line: 4, code: 'port-tcp-without-addresses', severity: 'warning', object: 'shop/a' }],
    });
  });
});
