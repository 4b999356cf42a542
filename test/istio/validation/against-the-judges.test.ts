import * as fc from 'fast-check';
import { validateServiceEntry } from '../../../src/istio/validation/validate-service-entry.js';
import { KubernetesClient } from '../../../src/kubernetes/client.js';
import { KubernetesError } from '../../../src/kubernetes/kubernetes-error.js';
import { analyze } from '../../support/istioctl.js';
import { startKubeApiserver, type KubeApiserver } from '../../support/kube-apiserver.js';
import { anyMetadata, anySpec } from './any-entry.js';
import { entryOf, FAULTLESS, RULE_CASES } from './rules.js';

type Entry = Readonly<Record<string, unknown>>;

const findingsOf = (entry: Entry) => validateServiceEntry(entry);
const isRefused = (entry: Entry): boolean => findingsOf(entry).some(({ severity }) => severity === 'error');

const anyEntry: fc.Arbitrary<Entry> = fc
  .record({ metadata: anyMetadata, spec: anySpec })
  .map((parts) => ({ ...FAULTLESS, ...parts }));

describe.each(['istio-crds', 'istio-crds-1.22'] as const)('the API server with %s', (crds) => {
  let server: KubeApiserver;
  let client: KubernetesClient;

  beforeAll(async () => {
    server = await startKubeApiserver({ crds });
    client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
    await server.kubectl(['create', 'namespace', 'shop']);
  }, 120_000);

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  /** What the server says against an object; undefined when it takes it. */
  async function refusalOf(entry: Entry): Promise<string | undefined> {
    const version = entry['apiVersion'] === 'networking.istio.io/v1beta1' ? 'v1beta1' : 'v1';
    try {
      await client.request({
        method: 'POST',
        path: `/apis/networking.istio.io/${version}/namespaces/shop/serviceentries`,
        query: { dryRun: 'All', fieldValidation: 'Strict' },
        body: entry,
      });
      return undefined;
    } catch (err) {
      if (err instanceof KubernetesError && (err.status === 400 || err.status === 422)) return err.message;
      throw err;
    }
  }

  it('refuses nothing generated that we take', async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyEntry, { minLength: 8, maxLength: 8 }), async (entries) => {
        const refusals = await Promise.all(entries.map(refusalOf));
        refused += refusals.filter((refusal) => refusal !== undefined).length;
        const missed = entries.flatMap((entry, index) =>
          refusals[index] === undefined || isRefused(entry) ? [] : [refusals[index]],
        );
        expect(missed).toEqual([]);
      }),
      { numRuns: 60 },
    );
    expect(refused).toBeGreaterThan(50); // the property was tried
  });

  it('refuses no case that we take', async () => {
    const missed = [];
    for (const rule of RULE_CASES) {
      const entry = entryOf(rule);
      const refusal = await refusalOf(entry);
      if (refusal !== undefined && !isRefused(entry)) missed.push([rule.what, refusal]);
    }
    // The old definitions do not know DYNAMIC_DNS.
    const known = missed.filter(([what]) => crds === 'istio-crds' || !String(what).includes('DYNAMIC_DNS'));
    expect(known).toEqual([]);
  });

  if (crds === 'istio-crds') {
    it('refuses each case of which we say that it does', async () => {
      const wrong = [];
      for (const rule of RULE_CASES) {
        const entry = entryOf(rule);
        const said = findingsOf(entry).some(({ source }) => source === 'api-server');
        if (said && (await refusalOf(entry)) === undefined) wrong.push(rule.what);
      }
      expect(wrong).toEqual([]);
    });
  }
});

describe('istioctl analyze', () => {
  /** Of each spec: whether the webhook would refuse it, and whether it would warn. */
  async function judge(specs: readonly unknown[]): Promise<readonly { refused: boolean; warned: boolean }[]> {
    const objects = specs.map((spec, index) => ({
      ...FAULTLESS,
      // A namespace each, so that none is taken for a duplicate of another.
      metadata: { name: `case-${index}`, namespace: `shop-${index}` },
      spec,
    }));
    const messages = await analyze(objects);
    return objects.map(({ metadata: { name, namespace } }) => {
      const codes = messages
        .filter(({ origin }) => origin === `ServiceEntry ${namespace}/${name}`)
        .map(({ code }) => code);
      return { refused: codes.includes('IST0106'), warned: codes.includes('IST0133') };
    });
  }

  const cases = RULE_CASES.filter(({ metadata, top }) => metadata === undefined && top === undefined).map((rule) => ({
    what: rule.what,
    spec: JSON.parse(JSON.stringify(entryOf(rule)['spec'])) as Record<string, unknown>,
    codes: rule.codes,
  }));

  it('says of each case what we say that it does', async () => {
    const verdicts = await judge(cases.map(({ spec }) => spec));
    const wrong = cases.flatMap(({ what, spec }, index) => {
      const findings = findingsOf({ ...FAULTLESS, metadata: { name: 'a', namespace: `shop-${index}` }, spec });
      const by = (severity: string) =>
        findings.some((finding) => finding.source === 'istiod' && finding.severity === severity);
      const { refused, warned } = verdicts[index] ?? { refused: false, warned: false };
      const isReadable = !findings.some(({ code }) => code === 'type' || code === 'unknown-field');
      const isWrong = isReadable && ((by('error') && !refused) || (by('warning') && !refused && !warned));
      return isWrong ? [what] : [];
    });
    expect(wrong).toEqual([]);
  });

  it('finds nothing in a case, or in anything generated, that we do not find', async () => {
    const generated = fc.sample(anySpec, 1500);
    const specs = [...cases.map(({ spec }) => spec), ...generated];
    const verdicts = await judge(specs);
    const missed = specs.filter((spec, index) => {
      const findings = findingsOf({ ...FAULTLESS, metadata: { name: 'a', namespace: `shop-${index}` }, spec });
      const { refused, warned } = verdicts[index] ?? { refused: false, warned: false };
      const hasError = findings.some(({ severity }) => severity === 'error');
      return (refused && !hasError) || (warned && findings.length === 0);
    });
    expect(missed).toEqual([]);
    expect(verdicts.filter(({ refused }) => refused).length).toBeGreaterThan(100); // the judge has judged
  });
});
