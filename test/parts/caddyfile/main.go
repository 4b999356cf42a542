// Reads a JSON list of Corefiles (base64) and prints what CoreDNS's own parser makes of each, as a JSON list.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/coredns/caddy/caddyfile"
)

type token struct {
	Text string `json:"text"`
	Line int    `json:"line"`
}

type block struct {
	Keys       []string           `json:"keys"`
	Directives map[string][]token `json:"directives"`
}

type result struct {
	Error  string  `json:"error,omitempty"`
	Blocks []block `json:"blocks"`
}

func main() {
	var corefiles [][]byte
	if err := json.NewDecoder(os.Stdin).Decode(&corefiles); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	results := make([]result, 0, len(corefiles))
	for _, corefile := range corefiles {
		results = append(results, parse(corefile))
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parse(corefile []byte) (parsed result) {
	defer func() {
		if cause := recover(); cause != nil {
			parsed = result{Error: fmt.Sprint(cause)}
		}
	}()
	blocks, err := caddyfile.Parse("Corefile", bytes.NewReader(corefile), directives(corefile))
	if err != nil {
		return result{Error: err.Error()}
	}
	for _, each := range blocks {
		found := map[string][]token{}
		for name, tokens := range each.Tokens {
			for _, one := range tokens {
				found[name] = append(found[name], token{Text: one.Text, Line: one.Line})
			}
		}
		parsed.Blocks = append(parsed.Blocks, block{Keys: each.Keys, Directives: found})
	}
	return parsed
}

// directives are all words but the brace, which is no directive of any CoreDNS.
func directives(corefile []byte) []string {
	words := []string{"a directive"} // none at all would mean that every one is valid
	for dispenser := caddyfile.NewDispenser("Corefile", bytes.NewReader(corefile)); dispenser.Next(); {
		if dispenser.Val() != "{" {
			words = append(words, dispenser.Val())
		}
	}
	return words
}
