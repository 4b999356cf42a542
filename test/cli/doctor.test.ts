import { fileURLToPath } from 'node:url';
import { openRedisStore } from '../../src/host/redis-store.js';
import type { DoctorReport } from '../../src/install/doctor.js';
import { runProgram } from '../support/program.js';
import { startRedis } from '../support/redis.js';

function platform(name: string): readonly string[] {
  return ['doctor', '--offline', fileURLToPath(new URL(`../install/platforms/${name}`, import.meta.url))];
}

describe('istio-discovery doctor', () => {
  it('ends with 0 where it can be installed, with 1 where it cannot, and says so on stdout', async () => {
    const ready = await runProgram(...platform('kubeadm'));
    expect(ready.stdout).toContain('Verdict       can be installed\n');
    await expect(runProgram(...platform('openshift'))).rejects.toMatchObject({ cause: { code: 1 } });
  });

  it('ends with 1 where there is nothing to read, and with 2 when it is called wrongly', async () => {
    await expect(runProgram('doctor', '--offline', '/nowhere')).rejects.toMatchObject({ cause: { code: 1 } });
    await expect(runProgram('doctor', '-o', 'xml')).rejects.toMatchObject({ cause: { code: 2 } });
  });

  it('prints JSON, with what Redis keeps and which collectors have reported there', async () => {
    const redis = await startRedis();
    const store = openRedisStore({ url: redis.url });
    const report = { source: 's', kind: 'dnstap', name: 'collector-0', connections: 2, lost: 0 } as const;
    await store.reportSource({ ...report, fromMs: Date.now() - 1000, untilMs: Date.now() });
    await store.close();
    const { stdout } = await runProgram(...platform('kubeadm'), '-o', 'json', '--store', redis.url);
    const parsed = JSON.parse(stdout) as DoctorReport; // what it prints
    expect(parsed).toMatchObject({
      verdict: 'ready',
      store: {
        kind: 'redis',
        reachable: true,
        persistence: 'append-only file',
        evictionPolicy: 'noeviction',
        collectors: [{ name: 'collector-0', connections: 2, batches: 0 }],
      },
    });
    await redis.stop();
    const away = runProgram(...platform('kubeadm'), '--store', redis.url);
    await expect(away).rejects.toMatchObject({ cause: { code: 1 } });
  });
});
