import { ambient } from './ambient.suite.js';
import { foreignEntries } from './foreign-entries.suite.js';
import { ourEntries, REFUSED } from './our-entries.suite.js';
import { startTestMesh, type TestMesh } from './test-mesh.js';
import { RULE_NAMESPACES, trafficRules } from './traffic-rules.suite.js';

let mesh: TestMesh;

beforeAll(async () => {
  const refused = REFUSED.map(({ namespace }) => namespace);
  mesh = await startTestMesh(['shop', 'bank', 'egress', 'default', ...refused, ...RULE_NAMESPACES]);
  await mesh.apply(service('front', 80), service('catalog', 8080));
}, 120_000);

afterEach(async () => mesh.clear());

afterAll(async () => mesh.stop());

/** A Service of the cluster, whose clusters and routes are there before any entry is. */
function service(name: string, port: number): object {
  const spec = { clusterIP: 'None', selector: { app: name }, ports: [{ name: 'http', port }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec };
}

ourEntries(() => mesh);
foreignEntries(() => mesh);
trafficRules(() => mesh);
ambient(() => mesh);
