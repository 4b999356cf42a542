// Removes what a test process left behind when it died: see lifetime.ts. It reads one JSON object a line from a pipe whose
// other end only the test process holds, so the pipe closes however that process ends.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

const removers = {
  group: ({ processId }) => process.kill(-processId, 'SIGKILL'),
  directory: ({ path }) => rmSync(path, { recursive: true, force: true }),
  command: ({ command: [file, ...args] }) => spawnSync(file, args, { stdio: 'ignore' }),
};
const left = new Map();

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...lastResort } = JSON.parse(line);
  if (lastResort.kind === 'released') left.delete(id);
  else left.set(id, lastResort);
}

for (const lastResort of [...left.values()].reverse()) {
  try {
    removers[lastResort.kind](lastResort);
  } catch {
    // It is gone already; the others still have their turn.
  }
}
