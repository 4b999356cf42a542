import type { SidecarFacts } from '../../src/istio/mesh-objects.js';
import { covers, Visibility } from '../../src/plan/visibility.js';
import { foreign, wanted } from './situation.js';

function visibility(sidecars: readonly SidecarFacts[] = [], defaultExportTo: readonly string[] = ['*']): Visibility {
  return new Visibility({ sidecars, rootNamespace: 'istio-system', defaultExportTo });
}

const importing = (namespace: string, egressHosts: readonly string[], isDefault = true): SidecarFacts => ({
  namespace,
  name: 'x',
  isDefault,
  egressHosts,
});

const HOST = 'a.example.com';
const own = wanted(HOST);
const everybody = wanted(HOST, 'egress', ['*']);
const named = wanted(HOST, 'egress', ['shop', 'web']);
const nobody = foreign([HOST], 'ops', { exportTo: ['~'] });

describe('who sees an entry', () => {
  it.each([
    [['.'], ['shop']],
    [['~'], []],
    [
      ['.', 'web'],
      ['shop', 'web'],
    ],
    [['*'], 'everybody'],
    [[], 'everybody'],
  ])('with exportTo %j: %j', (exportTo, expected) => {
    const audience = visibility().audienceOf({ namespace: 'shop', exportTo });
    expect(audience === 'everybody' ? audience : [...audience]).toEqual(expected);
  });

  it('is told by the default of the mesh where the entry does not say', () => {
    expect(visibility([], ['.']).audienceOf({ namespace: 'shop' })).toEqual(new Set(['shop']));
  });
});

describe('who may see both of two entries', () => {
  it('is somebody to whom both are exported and who imports the other', () => {
    expect(visibility().areSeenTogether(own, everybody)).toBe(true);
    expect(visibility().areSeenTogether(own, named)).toBe(true);
    expect(visibility().areSeenTogether(own, nobody)).toBe(false);
    expect(visibility([importing('shop', ['./*'])]).areSeenTogether(own, named)).toBe(false);
  });

  it('is anybody where ours is for everybody, unless theirs is for nobody', () => {
    expect(visibility().areSeenTogether(everybody, own)).toBe(true);
    expect(visibility().areSeenTogether(everybody, everybody)).toBe(true);
    expect(visibility().areSeenTogether(everybody, nobody)).toBe(false);
  });
});

describe('whether all clients of an entry see another', () => {
  it.each([
    ['without Sidecars', [], true],
    ['where the Sidecar imports it', [importing('shop', ['*/*'])], true],
    ['where the Sidecar does not', [importing('shop', ['./*'])], false],
    ['where some workloads do not', [importing('shop', ['./*'], false)], false],
    ['where only some workloads do', [importing('shop', ['./*']), importing('shop', ['*/*'], false)], false],
    ['where the Sidecar of the mesh does not', [importing('istio-system', ['./*'])], false],
    ['where a Sidecar elsewhere does not', [importing('web', ['./*'])], true],
  ])('%s', (_what, sidecars, expected) => {
    expect(visibility(sidecars).isSeenByAllOf(named, own)).toBe(expected);
  });

  it('is so for everybody only if it is exported to all, and no Sidecar anywhere leaves it out', () => {
    expect(visibility().isSeenByAllOf(everybody, everybody)).toBe(true);
    expect(visibility().isSeenByAllOf(named, everybody)).toBe(false);
    expect(visibility([importing('web', ['*/*'])]).isSeenByAllOf(everybody, everybody)).toBe(true);
    expect(visibility([importing('web', ['./*'])]).isSeenByAllOf(everybody, everybody)).toBe(false);
    expect(visibility([importing('web', ['./*'], false)]).isSeenByAllOf(everybody, everybody)).toBe(false);
  });

  it('is not so where it is not exported to one of them', () => {
    expect(visibility().isSeenByAllOf(wanted(HOST, 'egress', ['shop']), named)).toBe(false);
  });
});

describe('the namespaces that do not import an entry', () => {
  it('are told by name, and not for an entry that is for everybody', () => {
    const sidecars = [importing('web', ['./*'])];
    expect(visibility(sidecars).blindNamespaces(named)).toEqual(['web']);
    expect(visibility([importing('istio-system', ['./*'])]).blindNamespaces(everybody)).toEqual([]);
  });

  it('counts an import of any host of the entry', () => {
    const two = foreign(['b.example.com', HOST], 'egress', { exportTo: ['*'] });
    expect(visibility([importing('shop', [`egress/${HOST}`])]).mayImport('shop', two)).toBe(true);
    expect(visibility([importing('shop', ['egress/c.example.com'])]).mayImport('shop', two)).toBe(false);
  });
});

describe('covers', () => {
  it.each([
    ['a.example.com', 'A.Example.com.', true],
    ['*', 'a.example.com', true],
    ['*.example.com', 'a.b.example.com', true],
    ['*.example.com', '*.b.example.com', true],
    ['*.example.com', '*.example.com', true],
    ['*ample.com', 'a.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.b.example.com', '*.example.com', false],
    ['*.example.com', 'a.example.com.evil.example.net', false],
    ['example.com', 'a.example.com', false],
    ['a.example.com', '*.example.com', false],
  ])('%s covers %s: %s', (pattern, host, expected) => {
    expect(covers(pattern, host)).toBe(expected);
  });
});
