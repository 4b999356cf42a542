module istio-discovery/test/parts/istio-api-1.22

go 1.26.0

require istio.io/api v1.22.3

require (
	github.com/golang/protobuf v1.5.4 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20240318140521-94a12d6c2237 // indirect
	google.golang.org/protobuf v1.33.0 // indirect
)
