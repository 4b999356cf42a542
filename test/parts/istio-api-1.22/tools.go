//go:build tools

// Package tools keeps istio.io/api in go.mod: only its custom resource definitions are used.
package tools

import _ "istio.io/api/networking/v1beta1"
