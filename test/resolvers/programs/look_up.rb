# Looks names up with Ruby's own resolver, one after the other, and prints a line for each: the name and its addresses.
require 'resolv'

resolver = Resolv::DNS.new
resolver.timeouts = [2, 2]
ARGV.each do |name|
  addresses = begin
    resolver.getaddresses(name).map { |address| address.to_s.downcase }
  rescue StandardError
    []
  end
  puts [name, *addresses].join(' ')
end
