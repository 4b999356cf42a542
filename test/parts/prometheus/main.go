// parse-promql reads expressions of Prometheus, one a line, and exits with 1 when one cannot be parsed.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	failed := false
	p := parser.NewParser(parser.Options{})
	for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
		if _, err := p.ParseExpr(scanner.Text()); err != nil {
			fmt.Println(scanner.Text(), "-", err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
