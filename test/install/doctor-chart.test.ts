import { copyFileSync, writeFileSync } from 'node:fs';
import type { DoctorReport } from '../../src/install/doctor.js';
import { examine } from '../../src/install/examine.js';
import { createRenderer, VALUE_SETS } from '../deploy/chart.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { platformDirectory } from './platform.js';

const NAMESPACE = 'istio-discovery';

/** The report on a k3s with the chart's own objects; `readyReplicas` of its Redis. */
async function reportWith(values: object, readyReplicas?: number): Promise<DoctorReport> {
  const directory = createTemporaryDirectory();
  copyFileSync(`${platformDirectory('k3s')}/cluster.yaml`, directory.file('cluster.yaml'));
  const render = await createRenderer();
  const items = (await render(values, NAMESPACE)).map((object) =>
    object.kind === 'StatefulSet' && readyReplicas !== undefined ? { ...object, status: { readyReplicas } } : object,
  );
  writeFileSync(directory.file('chart.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  return examine({ from: { directory: directory.path }, namespace: NAMESPACE });
}

describe('the doctor and the objects of the chart', () => {
  it('takes the endpoint from the Service of the collector', async () => {
    const { steps } = await reportWith(VALUE_SETS['replicated'] ?? {});
    expect(steps?.commands[0]).toContain('dnstap tcp://10.96.0.77:6001 full');
  });

  it('tells of the bundled Redis whether it is ready and what it keeps', async () => {
    const kept = { kind: 'redis', reachable: true, persistence: 'append-only file', evictionPolicy: 'noeviction' };
    expect((await reportWith({}, 1)).store).toEqual(kept);
    const away = await reportWith({});
    expect(away).toMatchObject({ verdict: 'impossible', store: { reachable: false } });
    expect(away.findings[0]).toMatchObject({ code: 'store-unreachable' });
    const bare = await reportWith(VALUE_SETS['bare'] ?? {}, 1);
    expect(bare.store).toMatchObject({ persistence: 'none' });
    expect(bare.findings.map(({ code }) => code)).toContain('store-volatile');
    expect((await reportWith(VALUE_SETS['external-redis'] ?? {})).store).toBeUndefined();
  });
});
