import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { startOneNodeCluster } from '../support/one-node-cluster.js';

// Run by one-node-cluster.test.ts in a jest of its own, which is then killed.
it('leaves a cluster running', async () => {
  const cluster = await startOneNodeCluster(['coredns-1.11']);
  await cluster.kubectl(['apply', '-f', '-'], readFileSync(join(ROOT, 'test/cluster/cluster-dns.yaml'), 'utf8'));
  await cluster.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s']);
  const report = process.env['LEFT_BEHIND_REPORT'] ?? '';
  writeFileSync(`${report}.new`, JSON.stringify({ link: cluster.node.link, directory: cluster.node.directory.path }));
  renameSync(`${report}.new`, report);
  await new Promise(() => undefined);
}, 600_000);
