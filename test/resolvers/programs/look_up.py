"""Looks names up with Python, one after the other, and prints a line for each: the name and its addresses.

The first argument is how: getaddrinfo, dnspython, dnspython-search, pycares, twisted.
"""

import socket
import sys


def by_getaddrinfo():
    return lambda name: [found[4][0] for found in socket.getaddrinfo(name, None)]


def by_dnspython(search):
    import dns.resolver

    resolver = dns.resolver.Resolver()
    resolver.lifetime = 12

    def look_up(name):
        addresses = []
        for kind in ("A", "AAAA"):
            try:
                addresses += [record.address for record in resolver.resolve(name, kind, search=search)]
            except Exception:
                pass  # the other family may have one
        return addresses

    return look_up


def by_pycares():
    import threading

    import pycares

    channel = pycares.Channel()

    def look_up(name):
        done, addresses = threading.Event(), []

        def take(result, error):
            if error is None:
                addresses.extend(node.addr[0].decode() for node in result.nodes)
            done.set()

        channel.getaddrinfo(name, None, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM, callback=take)
        done.wait(20)
        return addresses

    return look_up


def by_twisted():
    from twisted.internet import reactor
    from twisted.names import client, dns

    def run(deferred):
        result = []
        deferred.addBoth(lambda value: (result.append(value), reactor.crash()))
        reactor.run(installSignalHandlers=False)
        return result[0]

    def look_up(name):
        addresses = []
        for ask in (client.lookupAddress, client.lookupIPV6Address):
            found = run(ask(name, timeout=[2, 2]))
            if isinstance(found, tuple):
                payloads = [record.payload for record in found[0]]
                addresses += [p.dottedQuad() for p in payloads if isinstance(p, dns.Record_A)]
                addresses += [socket.inet_ntop(socket.AF_INET6, p.address) for p in payloads if isinstance(p, dns.Record_AAAA)]
        return addresses

    return look_up


WAYS = {
    "getaddrinfo": by_getaddrinfo,
    "dnspython": lambda: by_dnspython(False),
    "dnspython-search": lambda: by_dnspython(True),
    "pycares": by_pycares,
    "twisted": by_twisted,
}
look_up = WAYS[sys.argv[1]]()
for name in sys.argv[2:]:
    try:
        print(name, *look_up(name), flush=True)
    except Exception:
        print(name, flush=True)
