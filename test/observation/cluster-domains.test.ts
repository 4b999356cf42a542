import { clusterDomainOf, parseSearchList } from '../../src/observation/cluster-domains.js';

describe('parseSearchList', () => {
  it.each([
    [
      'what the kubelet writes',
      'search Shop.svc.cluster.local svc.cluster.local cluster.local ec2.internal.\nnameserver 10.96.0.10\noptions ndots:5\n',
      ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'ec2.internal'],
    ],
    ['of several lines the last', 'search a.example.com\nsearch\tb.example.com\n', ['b.example.com']],
    ['no such line', 'nameserver 10.96.0.10\n', []],
    ['a comment and a domain of one label', '# search x.example.com\nsearch local example.net\n', ['example.net']],
  ])('%s', (_, text, list) => {
    expect(parseSearchList(text)).toEqual(list);
  });
});

describe('clusterDomainOf', () => {
  it('is the domain that stands with and without svc', () => {
    expect(clusterDomainOf(['shop.svc.k8s.internal', 'svc.k8s.internal', 'k8s.internal', 'ec2.internal'])).toBe(
      'k8s.internal',
    );
    expect(clusterDomainOf(['ec2.internal', 'example.com'])).toBeUndefined();
  });
});
