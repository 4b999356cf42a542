import type { PendingEvidence } from '../../src/host/host-record.js';
import { attributeEvidence } from '../../src/workload/attribute-evidence.js';
import type { PodIndex } from '../../src/workload/pod-index.js';
import { event, indexAfter, indexOf, ms, nodeJson, ownedJson, podJson, type PodSpec } from './objects.js';

const ip = '192.0.2.10';
const GRACE_SECONDS = 60;

interface Lookups {
  readonly first: number;
  readonly last?: number;
  readonly client?: string;
  readonly pod?: string;
  /** Seconds after the last look-up; default: at once. */
  readonly later?: number;
  readonly hostname?: string;
}

/** `attribution namespace/kind/name`, or `wait`. */
function attribute(
  index: PodIndex,
  { first, last = first, client = ip, pod, later = 0, hostname = 'www.example.com' }: Lookups,
): string {
  const evidence: PendingEvidence = {
    client,
    slotMs: ms(Math.floor(first / 10) * 10),
    firstSeenMs: ms(first),
    lastSeenMs: ms(last),
    lookups: 2,
    ...(pod === undefined ? {} : { pod: { namespace: 'shop', name: pod } }),
  };
  const result = attributeEvidence({
    hostname,
    evidence,
    index,
    nowMs: ms(last + later),
    graceMs: GRACE_SECONDS * 1000,
  });
  if (typeof result === 'string') return result;
  if ('asked' in result) return `asked for ${result.asked}`;
  const { namespace, kind, name } = result.workload;
  return `${result.attribution} ${namespace}/${kind}/${name}`;
}

const UNKNOWN = `unknown /Address/${ip}`;
const later = GRACE_SECONDS;
const replicaSet = { kind: 'ReplicaSet', name: 'web-7d9f' };
const deployment = { kind: 'Deployment', name: 'web' };

function finished(pod: PodSpec): object {
  return podJson({ ...pod, ip, phase: 'Succeeded' });
}

describe('evidence by address', () => {
  it('is the workload’s of the pod that had the address', () => {
    const index = indexOf(
      podJson({ ip, container: 1, owner: replicaSet }),
      ownedJson({ ...replicaSet, owner: deployment }),
    );
    expect(attribute(index, { first: 5, last: 9 })).toBe('exact shop/Deployment/web');
  });

  it.each(['StatefulSet', 'DaemonSet'])('is a %s’s', (kind) => {
    const index = indexOf(podJson({ ip, container: 1, owner: { kind, name: 'db' } }));
    expect(attribute(index, { first: 5 })).toBe(`exact shop/${kind}/db`);
  });

  it('waits for the API to know the address, and then is nobody’s', () => {
    const index = indexOf();
    expect(attribute(index, { first: 5, later: GRACE_SECONDS - 1 })).toBe('wait');
    expect(attribute(index, { first: 5, later })).toBe(UNKNOWN);
  });

  it('is settled when the API hears of the address after the look-up', () => {
    const index = indexAfter(event(0.2, 'ADDED', podJson({})));
    expect(attribute(index, { first: 1.5 })).toBe('wait');
    index.apply(event(4, 'MODIFIED', podJson({ ip, container: 1 })));
    expect(attribute(index, { first: 1.5, later: 3 })).toBe('exact shop/Pod/web');
  });

  it('waits for the owner, which may be more than a Job', () => {
    const job = { kind: 'Job', name: 'report-29400000' };
    const index = indexOf(finished({ container: 1, finish: 20, owner: job }));
    expect(attribute(index, { first: 5 })).toBe('wait');
    expect(attribute(index, { first: 5, later })).toBe('exact shop/Job/report-29400000');
    index.apply(event(30, 'ADDED', ownedJson({ ...job, owner: { kind: 'CronJob', name: 'report' } })));
    expect(attribute(index, { first: 5 })).toBe('exact shop/CronJob/report');
  });

  it('is that of a pod that lived two seconds', () => {
    const index = indexAfter(event(15, 'DELETED', finished({ start: 10, container: 10, finish: 12 })));
    expect(attribute(index, { first: 10.8, last: 11.6 })).toBe('exact shop/Pod/web');
  });

  it('waits where a pod may have passed its address on', () => {
    const terminating = indexOf(podJson({ ip, container: 1, deletion: 40 }));
    expect(attribute(terminating, { first: 20 })).toBe('wait');
    expect(attribute(terminating, { first: 20, later })).toBe('exact shop/Pod/web');
    const ended = indexOf(finished({ container: 1, finish: 19 }));
    expect(attribute(ended, { first: 21 })).toBe('wait');
    ended.apply(event(22, 'ADDED', podJson({ name: 'next', ip, start: 20, container: 20 })));
    expect(attribute(ended, { first: 21 })).toBe('exact shop/Pod/next');
  });

  it('is nobody’s when two workloads had the address within the slot', () => {
    const index = indexOf(
      finished({ name: 'a', container: 1, finish: 3 }),
      podJson({ name: 'b', ip, start: 5, container: 6 }),
    );
    expect(attribute(index, { first: 2, last: 8, later })).toBe(UNKNOWN);
    expect(attribute(index, { first: 1, last: 2 })).toBe('exact shop/Pod/a');
    expect(attribute(index, { first: 7, last: 8 })).toBe('exact shop/Pod/b');
  });

  it('is the workload’s when two of its pods had the address within the slot', () => {
    const owner = { kind: 'StatefulSet', name: 'db' };
    const index = indexOf(
      finished({ name: 'db-0', owner, container: 1, finish: 3 }),
      podJson({ name: 'db-1', owner, ip, start: 5, container: 6 }),
    );
    expect(attribute(index, { first: 2, last: 8 })).toBe('exact shop/StatefulSet/db');
  });

  it('waits out an ambiguity and then is nobody’s', () => {
    const index = indexOf(podJson({ name: 'a', ip }), podJson({ name: 'b', ip, start: 20 }));
    expect(attribute(index, { first: 30 })).toBe('wait');
    expect(attribute(index, { first: 30, later })).toBe(UNKNOWN);
  });

  it('is the node’s for the host network', () => {
    const index = indexOf(podJson({ hostNetwork: true, ip: '192.0.2.1' }), nodeJson('node-9', '192.0.2.9'));
    expect(attribute(index, { first: 5, client: '192.0.2.1' })).toBe('node /Node/node-1');
    expect(attribute(index, { first: 5, client: '192.0.2.9' })).toBe('node /Node/node-9');
  });

  it('is the node’s for a ztunnel, which asks for others', () => {
    const index = indexOf(
      podJson({ ip, container: 1, labels: { app: 'ztunnel' }, owner: { kind: 'DaemonSet', name: 'ztunnel' } }),
    );
    expect(attribute(index, { first: 5 })).toBe('node /Node/node-1');
  });

  it('is a gateway’s own', () => {
    const labels = { istio: 'egressgateway' };
    const index = indexOf(podJson({ ip, container: 1, labels, owner: { kind: 'StatefulSet', name: 'egress' } }));
    expect(attribute(index, { first: 5 })).toBe('exact shop/StatefulSet/egress');
  });
});

describe('evidence that names a pod', () => {
  it('is believed at once, whatever the address', () => {
    const index = indexOf(podJson({ owner: { kind: 'StatefulSet', name: 'db' } }));
    expect(attribute(index, { first: 5, pod: 'web' })).toBe('exact shop/StatefulSet/db');
  });

  it('waits for the pod’s object, and then has its name only', () => {
    expect(attribute(indexOf(), { first: 5, pod: 'web' })).toBe('wait');
    expect(attribute(indexOf(), { first: 5, pod: 'web', later })).toBe('exact shop/Pod/web');
  });

  it('is the node’s when the pod is on the host network, for CoreDNS names any of them', () => {
    const index = indexOf(podJson({ hostNetwork: true, ip: '192.0.2.1' }));
    expect(attribute(index, { first: 5, pod: 'web', client: '192.0.2.1' })).toBe('node /Node/node-1');
    expect(attribute(index, { first: 5, pod: 'unheard-of', client: '192.0.2.1' })).toBe('node /Node/node-1');
    const addressUnknown = indexOf(podJson({ hostNetwork: true }));
    expect(attribute(addressUnknown, { first: 5, pod: 'web' })).toBe('node /Node/node-1');
  });

  it('goes by the address when the named pod had ended', () => {
    const index = indexOf(
      finished({ name: 'a', container: 1, finish: 10 }),
      podJson({ name: 'b', ip, start: 11, container: 12 }),
    );
    expect(attribute(index, { first: 15, pod: 'a' })).toBe('exact shop/Pod/b');
    expect(attribute(index, { first: 5, pod: 'a' })).toBe('exact shop/Pod/a');
  });

  it('is nobody’s when the named pod stays unknown and another one had the address', () => {
    const index = indexOf(podJson({ name: 'b', ip, container: 1 }));
    expect(attribute(index, { first: 15, pod: 'a', later })).toBe(UNKNOWN);
  });
});
