import fc from 'fast-check';
import { formatAddress } from '../../src/dns/message-reader.js';
import { normalizeAddress } from '../../src/workload/address.js';
import { readKubernetesObject } from '../../src/workload/kubernetes-object.js';
import { ms, object, podJson, time } from './objects.js';

describe('normalizeAddress', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['fe80::1%eth0', 'fe80::1'],
  ])('writes %s as %s', (text, expected) => {
    expect(normalizeAddress(text)).toBe(expected);
  });

  it.each(['', 'web', '192.0.2', '192.0.2.07', '2001:db8::1::', '[2001:db8::1]', '192.0.2.7/24'])(
    'knows that %j is no address',
    (text) => {
      expect(normalizeAddress(text)).toBeUndefined();
    },
  );

  it('writes every IPv6 address as an Observation does', () => {
    const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff));
    const groups = fc.array(group, { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, (groups) => {
        const octets = Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
        const long = groups.map((group) => group.toString(16).padStart(4, '0').toUpperCase()).join(':');
        expect(normalizeAddress(long)).toBe(formatAddress(octets, 0, 16));
      }),
    );
  });
});

describe('readKubernetesObject', () => {
  it('reads what a pod is and when it ran', () => {
    const pod = podJson({
      name: 'web-7d9f-abcde',
      owner: { kind: 'ReplicaSet', name: 'web-7d9f' },
      labels: { 'pod-template-hash': '7d9f' },
      ip: '192.0.2.7',
      ips: ['192.0.2.7', '2001:DB8::0:7'],
      start: 1,
      container: 3,
    });
    expect(object(pod)).toEqual({
      kind: 'Pod',
      uid: 'uid-web-7d9f-abcde',
      namespace: 'shop',
      name: 'web-7d9f-abcde',
      createdAtMs: ms(1),
      role: 'workload',
      nodeName: 'node-1',
      isHostNetwork: false,
      isMirror: false,
      controller: { kind: 'ReplicaSet', name: 'web-7d9f', uid: 'uid-web-7d9f' },
      templateHash: '7d9f',
      addresses: ['192.0.2.7', '2001:db8::7'],
      nodeAddresses: ['192.0.2.1'],
      startedAtMs: ms(1),
      firstContainerAtMs: ms(3),
      isFinished: false,
    });
  });

  it('reads times that a typed client made into dates', () => {
    const pod = object({ kind: 'Pod', metadata: { name: 'web' }, status: { startTime: new Date(ms(5)) } });
    expect(pod).toMatchObject({ startedAtMs: ms(5) });
  });

  it('takes the kind of a typed list for its items', () => {
    expect(readKubernetesObject({ metadata: { name: 'web' } }, 'Pod')).toMatchObject({ kind: 'Pod', name: 'web' });
  });

  it('does not take a start after a restart for the first one', () => {
    expect(object(podJson({ container: 100, restarts: 2 }))).toHaveProperty('firstContainerAtMs', undefined);
  });

  it('does not take a crash for the end of a pod', () => {
    expect(object(podJson({ container: 1, finish: 5 }))).toHaveProperty('finishedAtMs', undefined);
  });

  it('lets a finished pod end with the second of its last container', () => {
    expect(object(podJson({ container: 1, finish: 5, phase: 'Failed' }))).toMatchObject({ finishedAtMs: ms(5.999) });
  });

  it('lets an evicted pod without containers end with its last change', () => {
    const status = { phase: 'Failed', conditions: [{ lastTransitionTime: time(8) }, { lastTransitionTime: time(4) }] };
    expect(object({ kind: 'Pod', metadata: { name: 'web' }, status })).toMatchObject({ finishedAtMs: ms(8.999) });
  });

  it('passes over the year 1, by which Kubernetes means that it does not know', () => {
    const terminated = { startedAt: null, finishedAt: '0001-01-01T00:00:00Z' };
    const status = { phase: 'Failed', containerStatuses: [{ restartCount: 0, state: { terminated } }] };
    expect(object({ kind: 'Pod', metadata: { name: 'web' }, status })).toHaveProperty('finishedAtMs', undefined);
  });

  it.each([
    [{ app: 'ztunnel' }, 'ztunnel'],
    [{ 'app.kubernetes.io/name': 'ztunnel' }, 'ztunnel'],
    [{ 'gateway.networking.k8s.io/gateway-name': 'waypoint' }, 'gateway'],
    [{ istio: 'egressgateway' }, 'gateway'],
    [{ istio: 'ingressgateway' }, 'gateway'],
    [{ app: 'web', istio: 'pilot' }, 'workload'],
  ])('reads the role of a pod with the labels %j as %s', (labels, role) => {
    expect(object(podJson({ labels }))).toMatchObject({ role });
  });

  it('knows a node by the addresses that its network plugin gave it, too', () => {
    const addressesOf = (annotations: object, spec: object = {}): readonly string[] => {
      const status = {
        addresses: [
          { type: 'InternalIP', address: '192.0.2.1' },
          { type: 'ExternalIP', address: '198.51.100.1' },
        ],
      };
      const node = readKubernetesObject({
        kind: 'Node',
        metadata: { name: 'node-1', uid: 'n', annotations },
        spec,
        status,
      });
      return 'addresses' in node ? node.addresses : [];
    };
    const ranges = { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24', '2001:db8:0:1::/64'] };
    expect(addressesOf({}, ranges)).toEqual(['192.0.2.1']);
    expect(addressesOf({ 'flannel.alpha.coreos.com/backend-type': 'vxlan' }, ranges)).toEqual([
      '192.0.2.1',
      '10.244.1.0',
      '10.244.1.1',
      '2001:db8:0:1::',
      '2001:db8:0:1::1',
    ]);
    expect(addressesOf({ 'projectcalico.org/IPv4VXLANTunnelAddr': '10.244.7.0' })).toEqual(['192.0.2.1', '10.244.7.0']);
    expect(addressesOf({ 'projectcalico.org/IPv4Address': '192.0.2.9/24' })).toEqual(['192.0.2.1', '192.0.2.9']);
    expect(addressesOf({ 'network.cilium.io/ipv4-cilium-host': 'none' })).toEqual(['192.0.2.1']);
  });

  it('takes only the owner that controls', () => {
    const ownerReferences = [
      { kind: 'Backup', name: 'nightly' },
      { kind: 'StatefulSet', name: 'db', controller: true },
    ];
    const pod = object({ kind: 'Pod', metadata: { name: 'db-0', ownerReferences } });
    expect(pod).toMatchObject({ controller: { kind: 'StatefulSet', name: 'db' } });
  });

  it.each([
    [{ kind: 'ConfigMap', metadata: { name: 'a' } }, 'kind-not-needed'],
    [{ metadata: { name: 'a' } }, 'no-kind'],
    [{ kind: 'Pod', metadata: {} }, 'no-name'],
    [null, 'no-kind'],
    ['Pod', 'no-kind'],
    [[], 'no-kind'],
  ])('skips %j: %s', (value, skipped) => {
    expect(readKubernetesObject(value)).toEqual({ skipped });
  });

  it('reads any JSON without failing', () => {
    const metadata = fc.oneof(fc.jsonValue(), fc.record({ name: fc.string({ minLength: 1 }), labels: fc.jsonValue() }));
    const anything = fc.record({
      kind: fc.constantFrom('Pod', 'Node', 'Job'),
      metadata,
      spec: fc.jsonValue(),
      status: fc.jsonValue(),
    });
    fc.assert(fc.property(anything, (value) => expect(readKubernetesObject(value)).toBeDefined()));
  });
});
