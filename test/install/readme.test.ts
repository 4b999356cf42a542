import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { REFUSALS } from '../../src/install/corefile/explain.js';
import { FINDINGS } from '../../src/install/doctor-findings.js';

const README = readFileSync(fileURLToPath(new URL('../../src/install/README.md', import.meta.url)), 'utf8');

/** The rows of the tables whose first cell is a code. */
const rows = README.split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1),
  )
  .map(([code = '', ...rest]) => [code.replaceAll('`', ''), ...rest]);

describe('the README of install', () => {
  it('has every refusal and every finding with what it says, and no others', () => {
    const refusals = Object.entries(REFUSALS);
    const findings = Object.entries(FINDINGS).map(([code, [severity, text]]) => [code, severity, text]);
    expect(rows).toEqual([...refusals, ...findings]);
  });
});
