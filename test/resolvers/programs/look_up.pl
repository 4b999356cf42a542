# Looks names up with Net::DNS, one after the other, and prints a line for each: the name and its addresses.
use strict;
use warnings;
use Net::DNS;

my $resolver = Net::DNS::Resolver->new(retry => 2, retrans => 2);
for my $name (@ARGV) {
    my @addresses;
    for my $type ('A', 'AAAA') {
        my $reply = $resolver->search($name, $type) or next;
        push @addresses, map { $_->address } grep { $_->type eq $type } $reply->answer;
    }
    print join(' ', $name, @addresses), "\n";
}
