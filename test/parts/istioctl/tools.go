//go:build tools

// Package tools keeps istioctl in go.mod.
package tools

import _ "istio.io/istio/istioctl/cmd/istioctl"
