import { PodIndex } from '../../src/workload/pod-index.js';
import { event, holder, indexAfter, indexOf, ms, nodeJson, object, podJson } from './objects.js';

const ip = '192.0.2.10';

describe('the history of an address', () => {
  it('is a pod’s from its start to its deletion', () => {
    const index = indexAfter(
      event(10, 'ADDED', podJson({ start: 10 })),
      event(12, 'MODIFIED', podJson({ start: 10, ip, container: 11 })),
      event(60, 'DELETED', podJson({ start: 10, ip, container: 11 })),
    );
    expect([0, 11, 30, 60, 63].map((seconds) => holder(index, ip, seconds))).toEqual([
      'nobody',
      'shop/web',
      'shop/web',
      'shop/web',
      'nobody',
    ]);
  });

  it('includes look-ups before the API knew the address', () => {
    const before = indexAfter(event(10, 'ADDED', podJson({ start: 10 })));
    expect(holder(before, ip, 11.5)).toBe('nobody');
    before.apply(event(14, 'MODIFIED', podJson({ start: 10, ip, container: 11 })));
    expect(holder(before, ip, 11.5)).toBe('shop/web');
  });

  it('includes a pod that lived two seconds and is only known by its deletion', () => {
    const pod = podJson({ start: 10, ip, container: 10, finish: 12, phase: 'Succeeded' });
    const index = indexAfter(event(15, 'DELETED', pod));
    expect([11, 12.5, 16].map((seconds) => holder(index, ip, seconds))).toEqual(['shop/web', 'shop/web', 'nobody']);
  });

  it('allows for clocks that differ a little, but does not call it settled', () => {
    const index = indexOf(podJson({ start: 10, ip, container: 11 }));
    expect(index.find(ip, ms(9))).toMatchObject({ isSettled: false });
    expect(index.find(ip, ms(11))).toMatchObject({ isSettled: true });
  });

  it('is not settled for a pod on its way out', () => {
    const index = indexOf(podJson({ ip, container: 1, deletion: 40 }));
    expect(index.find(ip, ms(20))).toMatchObject({ isSettled: false });
  });

  it('is settled again when the end of its containers is known', () => {
    const index = indexOf(podJson({ ip, container: 1, finish: 30, deletion: 40 }));
    expect(index.find(ip, ms(20))).toMatchObject({ isSettled: true });
    expect(holder(index, ip, 35)).toBe('nobody');
  });

  it('is not settled before a deletion, for the address was free a little earlier', () => {
    const pod = podJson({ ip, container: 1 });
    const index = indexAfter(event(1, 'ADDED', pod), event(20, 'DELETED', pod));
    expect(index.find(ip, ms(15))).toMatchObject({ isSettled: false });
  });

  it('ignores an event that comes after the deletion', () => {
    const pod = podJson({ ip, container: 1 });
    const late = podJson({ ip: '192.0.2.11', container: 1 });
    const index = indexAfter(event(1, 'ADDED', pod), event(20, 'DELETED', pod), event(21, 'MODIFIED', late));
    expect(holder(index, ip, 10)).toBe('shop/web');
    expect(holder(index, ip, 40)).toBe('nobody');
    expect(holder(index, '192.0.2.11', 20)).toBe('nobody');
  });

  it('takes a pod that a new list does not have for deleted', () => {
    const index = indexOf(podJson({ ip, container: 1 }), podJson({ name: 'other', ip: '192.0.2.11', container: 1 }));
    const stays = object(podJson({ name: 'other', ip: '192.0.2.11', container: 1 }));
    index.applyList({ kind: 'Pod', objects: [stays], atMs: ms(2000) });
    expect(holder(index, ip, 3000)).toBe('nobody');
    expect(holder(index, '192.0.2.11', 3000)).toBe('shop/other');
  });

  it('is not changed by a new list of owners', () => {
    const index = indexOf(podJson({ ip, container: 1 }), nodeJson('node-9', '192.0.2.9'));
    index.applyList({ kind: 'ReplicaSet', objects: [], atMs: ms(2000) });
    expect(holder(index, ip, 3000)).toBe('shop/web');
    expect(holder(index, '192.0.2.9', 3000)).toBe('node node-9');
  });

  it('has both addresses of a dual-stack pod, as Observations write them', () => {
    const index = indexOf(podJson({ ip, ips: [ip, '2001:DB8:0:0::10'], container: 1 }));
    expect([ip, '2001:db8::10'].map((address) => holder(index, address, 5))).toEqual(['shop/web', 'shop/web']);
  });

  it('follows a pod to a new address', () => {
    const index = indexAfter(
      event(1, 'ADDED', podJson({ ip, restarts: 1, container: 1 })),
      event(100, 'MODIFIED', podJson({ ip, restarts: 1, container: 1 })),
      event(200, 'MODIFIED', podJson({ ip: '192.0.2.11', restarts: 2, container: 190 })),
    );
    expect(holder(index, ip, 50)).toBe('shop/web');
    expect(holder(index, ip, 300)).toBe('nobody');
    expect(holder(index, '192.0.2.11', 50)).toBe('nobody');
    expect(holder(index, '192.0.2.11', 195)).toBe('shop/web');
  });
});

describe('an address that changes hands', () => {
  it('belongs to the running pod, not to the finished Job that still shows it', () => {
    const index = indexOf(
      podJson({ name: 'job', ip, start: 0, container: 1, finish: 5, phase: 'Succeeded' }),
      podJson({ name: 'next', ip, start: 8, container: 9 }),
    );
    expect([3, 9.5, 100].map((seconds) => holder(index, ip, seconds))).toEqual(['shop/job', 'shop/next', 'shop/next']);
  });

  it('is told apart by the first container, though the later pod was scheduled before the earlier one ended', () => {
    const index = indexOf(
      podJson({ name: 'a', ip, start: 0, container: 1, finish: 10, phase: 'Succeeded' }),
      podJson({ name: 'b', ip, start: 4, container: 13 }),
    );
    expect([8, 10.9, 13].map((seconds) => holder(index, ip, seconds))).toEqual(['shop/a', 'shop/a', 'shop/b']);
  });

  it('goes over within a slot, though the deletion is heard of late', () => {
    const a = { name: 'a', ip, start: 0, container: 1 };
    const b = { name: 'b', ip, start: 3, container: 4 };
    const index = indexAfter(
      event(0.1, 'ADDED', podJson(a)),
      event(3.4, 'ADDED', podJson(b)),
      event(9, 'DELETED', podJson(a)),
    );
    expect([2, 3.2, 6].map((seconds) => holder(index, ip, seconds))).toEqual(['shop/a', 'shop/a', 'shop/b']);
  });

  it('stays with the earlier pod until the later one is created, unless that is a static pod, which runs before', () => {
    const a = { name: 'a', ip, start: 0 };
    const b = { name: 'b', ip, start: 3 };
    const annotations = { 'kubernetes.io/config.mirror': 'hash' };
    const holders = [b, { ...b, annotations }].map((later) => {
      const index = indexAfter(
        event(0.1, 'ADDED', podJson(a)),
        event(3.4, 'ADDED', podJson(later)),
        event(9, 'DELETED', podJson(a)),
      );
      return holder(index, ip, 3.2);
    });
    expect(holders).toEqual(['shop/a', 'ambiguous']);
  });

  it('is nobody’s for certain within the second in which the later pod started', () => {
    const index = indexOf(
      podJson({ name: 'a', ip, start: 0, container: 1, finish: 10, phase: 'Succeeded' }),
      podJson({ name: 'b', ip, start: 10, container: 10 }),
    );
    expect([9, 10.5, 11].map((seconds) => holder(index, ip, seconds))).toEqual(['shop/a', 'ambiguous', 'shop/b']);
  });

  it('is ambiguous while two pods both claim to run', () => {
    const index = indexOf(podJson({ name: 'a', ip, start: 0 }), podJson({ name: 'b', ip, start: 20 }));
    expect([10, 30].map((seconds) => holder(index, ip, seconds))).toEqual(['shop/a', 'ambiguous']);
  });

  it('goes over from a pod that was told to end, when its grace is over', () => {
    const index = indexOf(podJson({ name: 'a', ip, deletion: 40 }), podJson({ name: 'b', ip, start: 50 }));
    expect([60, 80].map((seconds) => holder(index, ip, seconds))).toEqual(['ambiguous', 'shop/b']);
  });

  it('is ambiguous between two pods when it was neither’s at that moment', () => {
    const index = indexOf(
      podJson({ name: 'a', ip, start: 0, container: 1, finish: 10, phase: 'Succeeded' }),
      podJson({ name: 'b', ip, start: 13, container: 13 }),
    );
    expect(holder(index, ip, 12)).toBe('ambiguous');
  });
});

describe('the host network', () => {
  const hostPod = podJson({ name: 'proxy', hostNetwork: true, ip: '192.0.2.1', node: 'node-1' });

  it('makes the address the node’s', () => {
    expect(holder(indexOf(hostPod), '192.0.2.1', 5)).toBe('node node-1');
  });

  it('is known from any pod of the node, and from the Node itself', () => {
    expect(holder(indexOf(podJson({ ip })), '192.0.2.1', 5)).toBe('node node-1');
    const index = indexOf(nodeJson('node-9', '192.0.2.9'));
    expect(holder(index, '192.0.2.9', 5)).toBe('node node-9');
    expect(holder(index, '198.51.100.1', 5)).toBe('nobody');
  });

  it('gives the address up with the last pod of the node, to another node or to a pod', () => {
    const index = indexAfter(
      event(1, 'ADDED', hostPod),
      event(50, 'DELETED', hostPod),
      event(60, 'ADDED', nodeJson('node-2', '192.0.2.1', 60)),
      event(90, 'DELETED', nodeJson('node-2', '192.0.2.1', 60)),
      event(100, 'ADDED', podJson({ ip: '192.0.2.1', hostIp: '192.0.2.3', start: 100, container: 101 })),
    );
    expect([10, 55, 70, 95, 110].map((seconds) => holder(index, '192.0.2.1', seconds))).toEqual([
      'node node-1',
      'nobody',
      'node node-2',
      'nobody',
      'shop/web',
    ]);
  });

  it('is ambiguous where a pod and a node claim one address', () => {
    const index = indexOf(podJson({ ip: '192.0.2.9', container: 1 }), nodeJson('node-9', '192.0.2.9'));
    expect(holder(index, '192.0.2.9', 5)).toBe('ambiguous');
  });

  it('follows a node to another address', () => {
    const index = indexAfter(
      event(1, 'ADDED', nodeJson('node-9', '192.0.2.9')),
      event(50, 'MODIFIED', nodeJson('node-9', '192.0.2.8')),
    );
    expect([40, 60].map((seconds) => holder(index, '192.0.2.9', seconds))).toEqual(['node node-9', 'nobody']);
    expect(holder(index, '192.0.2.8', 60)).toBe('node node-9');
  });
});

describe('findPod', () => {
  it('finds the pod of that name at that moment', () => {
    const index = indexAfter(
      event(1, 'ADDED', podJson({ uid: 'uid-1', ip })),
      event(20, 'DELETED', podJson({ uid: 'uid-1', ip })),
      event(30, 'ADDED', podJson({ uid: 'uid-2', ip: '192.0.2.11', start: 30 })),
    );
    const uids = [10, 40].map((seconds) => index.findPod('shop', 'web', ms(seconds))?.uid);
    expect(uids).toEqual(['uid-1', 'uid-2']);
    expect(index.findPod('other', 'web', ms(10))).toBeUndefined();
  });
});

describe('the size of the index', () => {
  it('is bounded: the pod that ended first is forgotten and counted', () => {
    const index = new PodIndex({ maxEndedPods: 2 });
    for (let i = 1; i <= 4; i++) {
      const pod = podJson({
        name: `job-${i}`,
        ip: `192.0.2.${10 + i}`,
        start: i,
        container: i,
        finish: i + 1,
        phase: 'Failed',
      });
      index.apply(event(20, 'ADDED', pod));
    }
    index.apply(event(20, 'ADDED', podJson({ ip })));
    expect(index.size()).toEqual({ pods: 3, endedPods: 2, addresses: 3, nodeAddresses: 1, droppedPods: 2 });
    expect([11, 12, 13, 14].map((last) => holder(index, `192.0.2.${last}`, last - 10 + 0.5))).toEqual([
      'nobody',
      'nobody',
      'shop/job-3',
      'shop/job-4',
    ]);
    expect(index.findPod('shop', 'job-1', ms(1))).toBeUndefined();
  });
});
