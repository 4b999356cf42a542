// The reconciler at its size against the real API server: test/bench/reconciler.bench.ts, by jest for its harness.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** @returns rows of { name, ours, peer, peerName, unit, ratio } */
export async function run({ log }) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const file = join(directory, 'rows');
  try {
    log('reconciler');
    const args = ['--forceExit', '--runInBand', '--silent=false', '--testMatch', '**/test/bench/*.bench.ts'];
    const env = { ...process.env, BENCH_ROWS: file };
    execFileSync(join(ROOT, 'node_modules', '.bin', 'jest'), args, {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
