import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { examine } from '../../src/install/examine.js';
import { formatDoctor } from '../../src/install/format-doctor.js';
import type { DoctorReport } from '../../src/install/doctor.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { platformDirectory } from './platform.js';

const PLATFORMS = readdirSync(platformDirectory('.')).sort();

async function report(platform: string, endpoint?: string): Promise<DoctorReport> {
  return examine({ from: { directory: platformDirectory(platform) }, namespace: 'istio-discovery', endpoint });
}

describe('the doctor on the objects of a platform', () => {
  it.each(PLATFORMS)('prints the report for %s', async (platform) => {
    const expected = readFileSync(`${platformDirectory(platform)}/report.txt`, 'utf8');
    expect(formatDoctor(await report(platform))).toBe(expected);
  });

  it.each([
    ['aks', 'by-hand', []],
    ['aks-localdns', 'impossible', ['node-cache-aks']],
    ['coredns-chart', 'ready', []],
    ['coredns-daemonset', 'by-hand', []],
    ['eks', 'by-hand', []],
    ['eks-auto', 'impossible', ['dns-absent']],
    ['eks-self-managed', 'ready', []],
    ['gardener', 'by-hand', []],
    ['gke', 'impossible', ['kube-dns']],
    ['gke-cloud-dns', 'impossible', ['dns-absent']],
    ['k3s', 'by-hand', []],
    ['kind', 'ready', []],
    ['kubeadm', 'ready', []],
    ['kubeadm-migrating', 'ready', []],
    ['kubespray', 'by-hand', []],
    ['kubespray-through-coredns', 'ready', []],
    ['minikube', 'ready', []],
    ['node-local-dns', 'by-hand', []],
    ['openshift', 'impossible', ['dns-openshift']],
    ['rke2', 'by-hand', []],
    ['tapped', 'impossible', ['corefile-refused']],
    ['vcluster', 'ready', []],
  ])('has for %s the verdict %s, because of %j', async (platform, verdict, problems) => {
    const { verdict: found, findings } = await report(platform);
    const codes = findings.filter(({ severity }) => severity === 'problem').map(({ code }) => code);
    expect([found, codes]).toEqual([verdict, problems]);
  });

  it('has a test for every platform', () => {
    expect(PLATFORMS).toHaveLength(22);
  });

  it('puts the endpoint that it is given into the commands', async () => {
    const { steps, findings } = await report('k3s', 'tcp://10.43.7.7:6000');
    expect(steps?.commands[0]).toContain('dnstap tcp://10.43.7.7:6000 full');
    expect(findings.map(({ code }) => code)).not.toContain('endpoint-example');
  });

  it.each([
    ['kubeadm', 'into namespace istio-discovery.'],
    ['coredns-daemonset', 'with clusterDns.configure=false.'],
    [
      'coredns-chart',
      'with clusterDns.deployment=dns-coredns and clusterDns.configMap=dns-coredns and clusterDns.podLabels.k8s-app=coredns.',
    ],
  ])('says for %s what Helm has to be told', async (platform, expected) => {
    expect((await report(platform)).plan[0]?.endsWith(expected)).toBe(true);
  });

  it('refuses an endpoint that no CoreDNS can use', async () => {
    const { verdict, findings } = await report('kubeadm', 'tcp://collector.istio-discovery.svc:6000');
    expect(verdict).toBe('impossible');
    expect(findings[0]).toMatchObject({ code: 'corefile-refused', severity: 'problem' });
  });

  it('knows the state of Istio', async () => {
    expect((await report('k3s')).istio).toMatchObject({
      revisions: [{ version: '1.26.0', outboundTrafficPolicy: 'REGISTRY_ONLY', dnsCapture: true }],
    });
    expect((await report('kind')).istio).toMatchObject({
      revisions: [{ version: '1.27.1', outboundTrafficPolicy: 'ALLOW_ANY', dnsCapture: false }],
      ambient: { version: '1.27.1-distroless', dnsCapture: true },
      ambientNamespaces: 1,
    });
    expect((await report('minikube')).istio).toBeUndefined();
  });

  it('knows what parts of the mesh have set for themselves', async () => {
    expect((await report('kind')).istio?.exceptions).toEqual({
      dnsCapture: { on: ['press/CronJob/edition', 'shop/ProxyConfig/capture'], off: [] },
      sidecars: [
        { sidecar: 'bank/ledger', importsOwnNamespace: false },
        { sidecar: 'shop/default', importsOwnNamespace: true, outboundTrafficPolicy: 'REGISTRY_ONLY' },
      ],
    });
    expect((await report('k3s')).istio?.exceptions).toEqual({
      dnsCapture: { on: [], off: ['shop/Deployment/web'] },
      sidecars: [{ sidecar: 'press/default', importsOwnNamespace: true, outboundTrafficPolicy: 'ALLOW_ANY' }],
    });
  });

  it('takes lists as the API server answers them, and null for what is absent', async () => {
    const text = readFileSync(`${platformDirectory('kubeadm')}/cluster.yaml`, 'utf8');
    const { items } = parse(text) as {
      readonly items: readonly { readonly kind: string; readonly apiVersion: string }[];
    };
    const directory = createTemporaryDirectory();
    for (const each of new Set(items.map(({ kind }) => kind))) {
      const ofKind = items.filter(({ kind }) => kind === each);
      const untyped = ofKind.map((item) => ({ ...item, kind: undefined, apiVersion: undefined }));
      const list = { kind: `${each}List`, apiVersion: ofKind[0]?.apiVersion, items: [...untyped, null] };
      writeFileSync(directory.file(`${each}.json`), JSON.stringify(list).replace('"args":', '"command":null,"args":'));
    }
    const examined = await examine({ from: { directory: directory.path }, namespace: 'istio-discovery' });
    expect(examined).toEqual(await report('kubeadm'));
  });

  it('does not take a directory without objects for a cluster without DNS', async () => {
    const directory = createTemporaryDirectory().path;
    for (const each of [directory, `${directory}/missing`]) {
      const examination = examine({ from: { directory: each }, namespace: 'istio-discovery' });
      await expect(examination).rejects.toMatchObject({ code: 'INSTALL_ERR_OFFLINE_OBJECTS' });
    }
  });
});
