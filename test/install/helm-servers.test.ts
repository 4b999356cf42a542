import { helmServers } from '../../src/install/helm-servers.js';

describe('a Corefile as values of the chart', () => {
  it('has its server blocks, plugins, arguments and blocks', () => {
    const corefile = `.:53 {
    errors
    kubernetes  cluster.local in-addr.arpa {
       pods insecure
       ttl 30 # seconds
    }
    log . "{remote} {name}"
}
dns://corp.example lab.example:53 {
    forward . 192.0.2.53 {
    }
}
`;
    expect(helmServers(corefile)).toEqual([
      {
        zones: [{ zone: '.', scheme: 'dns://', use_tcp: true }],
        port: 53,
        plugins: [
          { name: 'errors' },
          {
            name: 'kubernetes',
            parameters: 'cluster.local in-addr.arpa',
            configBlock: 'pods insecure\nttl 30 # seconds',
          },
          { name: 'log', parameters: '. "{remote} {name}"' },
        ],
      },
      {
        zones: [
          { zone: 'corp.example', scheme: 'dns://', use_tcp: true },
          { zone: 'lab.example', scheme: 'dns://', use_tcp: true },
        ],
        port: 53,
        plugins: [{ name: 'forward', parameters: '. 192.0.2.53' }],
      },
    ]);
  });

  it('leaves a block alone that is not plain DNS', () => {
    expect(helmServers('tls://.:853 {\n    forward . 192.0.2.53\n}\n')?.[0]?.zones).toEqual([
      { zone: '.', scheme: 'tls://' },
    ]);
  });

  it.each([
    ['imports', '.:53 {\n import x\n}'],
    ['two keys with another port than 53', 'a:54 b:54 {\n log\n}'],
    ['one block with two ports', 'a:53 b:54 {\n log\n}'],
    ['what cannot be read', '.:53 {'],
  ])('cannot say %s', (_, corefile) => {
    expect(helmServers(corefile)).toBeUndefined();
  });
});
