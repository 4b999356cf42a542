//go:build tools

// Package tools keeps istioctl and istiod in go.mod.
package tools

import (
	_ "istio.io/istio/istioctl/cmd/istioctl"
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
)
