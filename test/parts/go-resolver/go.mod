module istio-discovery/test/parts/go-resolver

go 1.26.0
