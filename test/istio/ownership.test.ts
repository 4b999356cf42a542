import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import { FIELD_MANAGER, isOwned, otherSpecManagers } from '../../src/istio/ownership.js';
import { readServiceEntry, type ManagedFields, type ServiceEntry } from '../../src/istio/service-entry.js';
import { hostname } from './hostname.js';

const entry = buildServiceEntry({ hostname: hostname('api.example.com'), namespace: 'shop', owner: 'main' });

function managedBy(...managedFields: ManagedFields[]): ServiceEntry {
  return { ...entry, metadata: { ...entry.metadata, managedFields } };
}

describe('isOwned', () => {
  it('knows what this installation wrote', () => {
    expect(isOwned(entry, 'main')).toBe(true);
    expect(isOwned(managedBy({ manager: FIELD_MANAGER }), 'main')).toBe(true);
  });

  it('takes the entry of another installation for foreign', () => {
    expect(isOwned(entry, 'other')).toBe(false);
  });

  it('takes an entry without labels for foreign', () => {
    expect(isOwned({ ...entry, metadata: { name: 'a', namespace: 'shop' } }, 'main')).toBe(false);
  });

  it('takes a copy of an entry, labels included, for foreign when the API server says that somebody else wrote it', () => {
    expect(isOwned(managedBy({ manager: 'kubectl-create' }), 'main')).toBe(false);
  });

  it('takes an object of the API server whose managed fields were cleared for foreign', () => {
    expect(isOwned({ ...entry, metadata: { ...entry.metadata, uid: '1' } }, 'main')).toBe(false);
  });
});

describe('otherSpecManagers', () => {
  it('names who else set something in the spec, but not who wrote the status or an annotation', () => {
    const edited = managedBy(
      { manager: FIELD_MANAGER, fieldsV1: { 'f:spec': {} } },
      { manager: 'kubectl-edit', fieldsV1: { 'f:spec': { 'f:exportTo': {} } } },
      { manager: 'kubectl-annotate', fieldsV1: { 'f:metadata': {} } },
      { manager: 'pilot-discovery', subresource: 'status', fieldsV1: { 'f:spec': {} } },
    );
    expect(otherSpecManagers(edited)).toEqual(['kubectl-edit']);
  });
});

describe('readServiceEntry', () => {
  it('reads what was built', () => {
    expect(readServiceEntry(entry)).toBe(entry);
  });

  it.each([
    ['nothing', undefined],
    ['another kind', { ...entry, kind: 'Gateway' }],
    ['another group', { ...entry, apiVersion: 'example.com/v1' }],
    ['no namespace', { ...entry, metadata: { name: 'a' } }],
    ['no hosts', { ...entry, spec: {} }],
    ['a host that is no string', { ...entry, spec: { hosts: [1] } }],
    ['a port without a name', { ...entry, spec: { hosts: ['a.example.com'], ports: [{ number: 1 }] } }],
  ])('refuses %s', (_what, value) => {
    expect(readServiceEntry(value)).toBeUndefined();
  });
});
