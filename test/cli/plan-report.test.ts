import { formatPlan } from '../../src/cli/plan-report.js';
import { plan, wanted } from '../plan/situation.js';

const everything = { services: [], virtualServices: [], sidecars: [] };

it('tells the ways out where a DestinationRule keeps hosts out', () => {
  const desired = [wanted('a.example.com')];
  const textUnder = (host: string): string => {
    const destinationRules = [{ namespace: 'istio-system', name: 'default', host }];
    const planned = plan({ desired, mesh: { ...everything, destinationRules } });
    return formatPlan({ plan: planned, refused: [], withheld: [] });
  };
  expect(textUnder('*')).toContain('governed-by-others (DestinationRule istio-system/default)');
  expect(textUnder('*')).toContain('tls.mode: DISABLE');
  expect(textUnder('*.local')).not.toContain('DISABLE');
});
