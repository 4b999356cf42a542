#!/usr/bin/env escript
%% Looks names up with Erlang's own resolver, one after the other, and prints a line for each: the name and its addresses.
main(Names) ->
    inet_db:set_lookup([dns]),
    {ok, Text} = file:read_file("/etc/resolv.conf"),
    [configure(string:lexemes(Line, " ")) || Line <- string:lexemes(binary_to_list(Text), "\n")],
    [io:format("~s~n", [string:join([Name | look_up(Name)], " ")]) || Name <- Names].

configure(["search" | Domains]) -> inet_db:res_option(search, Domains);
configure(["nameserver", Address]) ->
    {ok, IP} = inet:parse_address(Address),
    inet_db:res_option(nameservers, [{IP, 53}]);
configure(_) -> ok.

look_up(Name) ->
    lists:append([addresses(inet:gethostbyname(Name, Family)) || Family <- [inet, inet6]]).

addresses({ok, Found}) -> [inet:ntoa(IP) || IP <- element(6, Found)];
addresses(_) -> [].
