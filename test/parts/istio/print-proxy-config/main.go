// Program print-proxy-config asks an istiod, as proxies would, for all that it serves to them, and prints it as JSON, a line
// for each: one object with the resources of each type, sorted by name.
//
//	print-proxy-config 127.0.0.1:15010 NODE...
//
// NODE is the envoy.config.core.v3.Node that the proxy would send, as JSON. A node of type ztunnel (by its id) gets
// addresses and authorizations, any other one clusters, listeners, the routes and endpoints that these name, and, with the
// metadata DNS_CAPTURE, the table of names that its agent would answer by itself.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	v3 "istio.io/istio/pilot/pkg/xds/v3"
	_ "istio.io/istio/pkg/config/xds" // the types of Envoy's extensions
	_ "istio.io/istio/pkg/dns/proto"
	_ "istio.io/istio/pkg/workloadapi"
	_ "istio.io/istio/pkg/workloadapi/security"
)

const (
	timeout         = 20 * time.Second
	maxMessageBytes = 64 << 20
)

type stream = discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient

// client has one stream to istiod and what came over it.
type client struct {
	stream stream
	node   *core.Node
	output map[string]any
}

// fetch subscribes to a type, to all of its resources unless names are given, and returns those of the first answer.
func (c *client) fetch(key, typeURL string, names ...string) ([]*discovery.Resource, error) {
	request := &discovery.DeltaDiscoveryRequest{Node: c.node, TypeUrl: typeURL, ResourceNamesSubscribe: names}
	if err := c.stream.Send(request); err != nil {
		return nil, err
	}
	for {
		response, err := c.stream.Recv()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		// An unacknowledged answer is not repeated, and nothing else is needed of a type that was read.
		if response.TypeUrl != typeURL {
			continue
		}
		slices.SortFunc(response.Resources, func(a, b *discovery.Resource) int { return strings.Compare(a.Name, b.Name) })
		return response.Resources, c.keep(key, response.Resources)
	}
}

func (c *client) keep(key string, resources []*discovery.Resource) error {
	printed := []any{}
	for _, resource := range resources {
		message, err := resource.Resource.UnmarshalNew()
		if err != nil {
			return fmt.Errorf("%s %s: %w", key, resource.Name, err)
		}
		text, err := protojson.Marshal(message)
		if err != nil {
			return fmt.Errorf("%s %s: %w", key, resource.Name, err)
		}
		printed = append(printed, map[string]any{"name": resource.Name, "resource": json.RawMessage(text)})
	}
	c.output[key] = printed
	return nil
}

func (c *client) fetchSidecar() error {
	clusters, err := c.fetch("clusters", v3.ClusterType)
	if err != nil {
		return err
	}
	listeners, err := c.fetch("listeners", v3.ListenerType)
	if err != nil {
		return err
	}
	if names := endpointNames(clusters); len(names) > 0 {
		if _, err := c.fetch("endpoints", v3.EndpointType, names...); err != nil {
			return err
		}
	}
	if names := routeNames(listeners); len(names) > 0 {
		if _, err := c.fetch("routes", v3.RouteType, names...); err != nil {
			return err
		}
	}
	if c.node.Metadata.GetFields()["DNS_CAPTURE"].GetStringValue() == "true" {
		_, err = c.fetch("names", v3.NameTableType)
	}
	return err
}

func endpointNames(clusters []*discovery.Resource) []string {
	names := []string{}
	for _, resource := range clusters {
		one := &cluster.Cluster{}
		if proto.Unmarshal(resource.Resource.Value, one) == nil && one.GetType() == cluster.Cluster_EDS {
			names = append(names, one.Name)
		}
	}
	return names
}

func routeNames(listeners []*discovery.Resource) []string {
	names := []string{}
	for _, resource := range listeners {
		one := &listener.Listener{}
		if proto.Unmarshal(resource.Resource.Value, one) != nil {
			continue
		}
		for _, chain := range append(one.FilterChains, one.DefaultFilterChain) {
			for _, filter := range chain.GetFilters() {
				manager := &hcm.HttpConnectionManager{}
				if filter.GetTypedConfig().MessageIs(manager) && filter.GetTypedConfig().UnmarshalTo(manager) == nil {
					if name := manager.GetRds().GetRouteConfigName(); name != "" {
						names = append(names, name)
					}
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *client) fetchZtunnel() error {
	if _, err := c.fetch("addresses", v3.AddressType); err != nil {
		return err
	}
	_, err := c.fetch("authorizations", v3.WorkloadAuthorizationType)
	return err
}

func fetchAll(ctx context.Context, connection *grpc.ClientConn, nodeText string) (map[string]any, error) {
	node := &core.Node{}
	if err := protojson.Unmarshal([]byte(nodeText), node); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	deltas, err := discovery.NewAggregatedDiscoveryServiceClient(connection).DeltaAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	c := &client{stream: deltas, node: node, output: map[string]any{}}
	if strings.HasPrefix(node.Id, "ztunnel~") {
		return c.output, c.fetchZtunnel()
	}
	return c.output, c.fetchSidecar()
}

func run(address string, nodes []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)))
	if err != nil {
		return err
	}
	defer connection.Close()
	encoder := json.NewEncoder(os.Stdout)
	for _, node := range nodes {
		output, err := fetchAll(ctx, connection, node)
		if err != nil {
			return err
		}
		if err := encoder.Encode(output); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: print-proxy-config ADDRESS NODE...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "print-proxy-config:", err)
		os.Exit(1)
	}
}
