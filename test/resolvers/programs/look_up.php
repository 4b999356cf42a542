<?php
// Looks names up with PHP, one after the other, and prints a line for each: the name and its addresses. The first argument is
// how: `hostbyname` asks for IPv4 alone, `records` for each type in turn.
[$how, $names] = [$argv[1], array_slice($argv, 2)];
foreach ($names as $name) {
    $addresses = $how === 'hostbyname' ? gethostbynamel($name) : array_merge(
        array_column(@dns_get_record($name, DNS_A) ?: [], 'ip'),
        array_column(@dns_get_record($name, DNS_AAAA) ?: [], 'ipv6'),
    );
    echo implode(' ', [$name, ...($addresses ?: [])]), "\n";
}
