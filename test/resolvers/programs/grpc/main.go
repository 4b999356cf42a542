// Command grpc-look-up connects to names as a gRPC client does, one after the other, and prints a line for each: the name and
// its addresses. Beside them it asks for the service configuration and for load balancers, by TXT and SRV.
package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	_ "google.golang.org/grpc/balancer/grpclb" // makes the resolver ask for SRV
	"google.golang.org/grpc/resolver"
	_ "google.golang.org/grpc/resolver/dns"
	"google.golang.org/grpc/serviceconfig"
)

// target takes what the resolver finds.
type target struct{ found chan []string }

func (t target) UpdateState(state resolver.State) error {
	var addresses []string
	for _, address := range state.Addresses {
		host, _, _ := net.SplitHostPort(address.Addr)
		addresses = append(addresses, host)
	}
	t.found <- addresses
	return nil
}
func (t target) ReportError(error)             { t.found <- nil }
func (t target) NewAddress([]resolver.Address) {}
func (t target) ParseServiceConfig(string) *serviceconfig.ParseResult {
	return &serviceconfig.ParseResult{}
}

func main() {
	for _, name := range os.Args[1:] {
		fmt.Println(strings.Join(append([]string{name}, lookUp(name)...), " "))
	}
}

func lookUp(name string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	t := target{make(chan []string, 8)}
	built, err := resolver.Get("dns").Build(resolver.Target{URL: url.URL{Scheme: "dns", Path: "/" + name + ":443"}}, t, resolver.BuildOptions{})
	if err != nil {
		return nil
	}
	defer built.Close()
	select {
	case addresses := <-t.found:
		return addresses
	case <-ctx.Done():
		return nil
	}
}
