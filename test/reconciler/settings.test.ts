import { reconcileSettings } from '../../src/app/reconcile-settings.js';
import { loadConfiguration } from '../../src/config/load.js';

it('plans with what the settings say of the mesh', () => {
  const flags = { 'istio-root-namespace': 'mesh', 'istio-mesh-export-to': ['.'], 'istio-owner': 'two' };
  const configuration = loadConfiguration({ flags, environment: {} });
  expect(reconcileSettings(configuration, { graceMs: () => 0 }).policy).toMatchObject({
    owner: 'two',
    rootNamespace: 'mesh',
    defaultExportTo: ['.'],
  });
});
