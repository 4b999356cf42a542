import fc from 'fast-check';
import { event, indexAfter, ms, object, ownedJson, podJson, type Owner } from './objects.js';
import { Owners } from '../../src/workload/owners.js';
import type { KubernetesObject, PodFacts } from '../../src/workload/kubernetes-object.js';

function pod(json: object): PodFacts {
  const read = object(json);
  if (read.kind !== 'Pod') throw new Error('not a pod');
  return read;
}

function ownersOf(...objects: readonly KubernetesObject[]): Owners {
  const owners = new Owners();
  for (const object of objects) if (object.kind === 'ReplicaSet' || object.kind === 'Job') owners.learn(object);
  return owners;
}

/** `Kind name`, with a question mark when it is not certain. */
function workload(owners: Owners, json: object): string {
  const { workload, isCertain } = owners.workloadOf(pod(json));
  return `${workload.kind} ${workload.name}${isCertain ? '' : '?'}`;
}

const replicaSet = { kind: 'ReplicaSet', name: 'web-7d9f' };
const job = { kind: 'Job', name: 'report-29400000' };

describe('Owners', () => {
  it.each<[string, Owner | undefined]>([
    ['StatefulSet db', { kind: 'StatefulSet', name: 'db' }],
    ['DaemonSet agent', { kind: 'DaemonSet', name: 'agent' }],
    ['ReplicationController old', { kind: 'ReplicationController', name: 'old' }],
    ['Workflow etl', { kind: 'Workflow', name: 'etl' }],
    ['Pod web', undefined],
    ['Pod web', { kind: 'Node', name: 'node-1' }],
  ])('finds %s without asking further (a static pod is owned by its Node)', (expected, owner) => {
    expect(workload(new Owners(), podJson({ ...(owner && { owner }) }))).toBe(expected);
  });

  it.each(['Deployment', 'Rollout'])('finds the %s of a ReplicaSet', (kind) => {
    const owners = ownersOf(object(ownedJson({ ...replicaSet, owner: { kind, name: 'web' } })));
    expect(workload(owners, podJson({ owner: replicaSet }))).toBe(`${kind} web`);
  });

  it('finds the CronJob of a Job, and a Job that has none', () => {
    const owners = ownersOf(
      object(ownedJson({ ...job, owner: { kind: 'CronJob', name: 'report' } })),
      object(ownedJson({ kind: 'Job', name: 'migrate' })),
    );
    expect(workload(owners, podJson({ owner: job }))).toBe('CronJob report');
    expect(workload(owners, podJson({ owner: { kind: 'Job', name: 'migrate' } }))).toBe('Job migrate');
  });

  it('leaves a ReplicaSet without an owner as it is, whatever its name', () => {
    const labels = { 'pod-template-hash': '7d9f' };
    expect(workload(ownersOf(object(ownedJson(replicaSet))), podJson({ owner: replicaSet, labels }))).toBe(
      'ReplicaSet web-7d9f',
    );
  });

  it.each([
    ['Deployment web', { 'pod-template-hash': '7d9f' }],
    ['Rollout web', { 'rollouts-pod-template-hash': '7d9f' }],
    ['ReplicaSet web-7d9f?', { 'pod-template-hash': 'other' }],
    ['ReplicaSet web-7d9f?', {}],
  ])('finds %s by the labels %j while the ReplicaSet is unknown', (expected, labels) => {
    expect(workload(new Owners(), podJson({ owner: replicaSet, labels }))).toBe(expected);
  });

  it('does not believe the name of an unknown Job', () => {
    expect(workload(new Owners(), podJson({ owner: job }))).toBe('Job report-29400000?');
  });

  it('does not take another object of the same name for the owner', () => {
    const earlier = object(ownedJson({ ...job, uid: 'uid-earlier', owner: { kind: 'CronJob', name: 'report' } }));
    expect(workload(ownersOf(earlier), podJson({ owner: job }))).toBe('Job report-29400000?');
  });

  it('forgets the owner heard of longest ago when there are too many', () => {
    const owners = new Owners(2);
    for (const name of ['a-1', 'b-1', 'c-1']) {
      const read = object(
        ownedJson({ kind: 'ReplicaSet', name, owner: { kind: 'Deployment', name: name.slice(0, 1) } }),
      );
      if (read.kind === 'ReplicaSet') owners.learn(read);
    }
    const found = ['a-1', 'b-1', 'c-1'].map((name) =>
      workload(owners, podJson({ owner: { kind: 'ReplicaSet', name } })),
    );
    expect(found).toEqual(['ReplicaSet a-1?', 'Deployment b', 'Deployment c']);
  });
});

describe('the order of events', () => {
  const created = [
    event(1, 'ADDED', podJson({ name: 'a', ip: '192.0.2.10', owner: replicaSet, container: 1 })),
    event(1, 'ADDED', podJson({ name: 'b', ip: '192.0.2.11', owner: job, container: 1 })),
    event(1, 'ADDED', podJson({ name: 'c', ip: '192.0.2.12', owner: { kind: 'Job', name: 'migrate' }, container: 1 })),
    event(1, 'ADDED', ownedJson({ ...replicaSet, owner: { kind: 'Deployment', name: 'web' } })),
    event(2, 'DELETED', ownedJson({ ...replicaSet, owner: { kind: 'Deployment', name: 'web' } })),
    event(1, 'ADDED', ownedJson({ ...job, owner: { kind: 'CronJob', name: 'report' } })),
    event(2, 'DELETED', ownedJson({ ...job, owner: { kind: 'CronJob', name: 'report' } })),
    event(1, 'ADDED', ownedJson({ kind: 'Job', name: 'migrate' })),
  ];

  it('does not matter between pods and owners, nor do deleted owners', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(created, { minLength: created.length }), (events) => {
        const index = indexAfter(...events);
        const found = ['192.0.2.10', '192.0.2.11', '192.0.2.12'].map((address) => {
          const holder = index.find(address, ms(5));
          return holder !== undefined && 'pod' in holder ? index.workloadOf(holder.pod).workload : undefined;
        });
        expect(found).toEqual([
          { namespace: 'shop', kind: 'Deployment', name: 'web' },
          { namespace: 'shop', kind: 'CronJob', name: 'report' },
          { namespace: 'shop', kind: 'Job', name: 'migrate' },
        ]);
      }),
    );
  });
});
