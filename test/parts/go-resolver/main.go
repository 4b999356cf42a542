// Command go-resolver looks names up with Go's own resolver, one after the other, and prints a line for each: the name and
// its addresses.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
)

func main() {
	resolver := &net.Resolver{PreferGo: true}
	for _, name := range os.Args[1:] {
		line := []string{name}
		// An error is what not every name is spared: the line then has no address.
		addresses, _ := resolver.LookupNetIP(context.Background(), "ip", name)
		for _, address := range addresses {
			line = append(line, address.Unmap().String())
		}
		fmt.Println(strings.Join(line, " "))
	}
}
