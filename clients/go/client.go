// Package corral calls Corral, a gRPC server that keeps several llama.cpp models resident. Calls of
// the stubs in a [Client] bring the bearer token, are made again where the server did nothing with
// them, and fail with an [*Error]. Those that answer with a stream are made by [Each].
package corral

import (
	"cmp"
	"context"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"
)

// Options say how a server is reached. All may be left out.
type Options struct {
	Address string            // HOST:PORT or unix:PATH; default: CORRAL_ADDRESS, else 127.0.0.1:50051
	TLS     bool              // trusts the authorities of the system
	CAFile  string            // PEM file of the authority to trust instead; turns TLS on
	Token   string            // sent as bearer token with every call
	Dial    []grpc.DialOption // added to the client's own, and win over them
}

// Client is a connection to one server, to be shared between goroutines.
type Client struct {
	Models     corralv1.ModelManagerClient
	Inference  corralv1.InferenceClient
	Server     corralv1.ServerClient
	connection *grpc.ClientConn
}

// New makes a client; nothing is connected before the first call.
func New(options Options) (*Client, error) {
	transport, err := insecure.NewCredentials(), error(nil)
	switch {
	case options.CAFile != "":
		transport, err = credentials.NewClientTLSFromFile(options.CAFile, "")
	case options.TLS:
		transport = credentials.NewTLS(nil)
	}
	if err != nil {
		return nil, err
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUnaryInterceptor(retryUnary),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second, // a long prompt is silent
		}),
		grpc.WithUserAgent("corral-go/0.1.0"),
		grpc.WithNoProxy(), // one set for the web is not meant for a model server
	}
	if options.Token != "" {
		dial = append(dial, grpc.WithPerRPCCredentials(bearer(options.Token)))
	}
	address := cmp.Or(options.Address, os.Getenv("CORRAL_ADDRESS"), "127.0.0.1:50051")
	connection, err := grpc.NewClient(address, append(dial, options.Dial...)...)
	if err != nil {
		return nil, err
	}
	return &Client{
		Models:     corralv1.NewModelManagerClient(connection),
		Inference:  corralv1.NewInferenceClient(connection),
		Server:     corralv1.NewServerClient(connection),
		connection: connection,
	}, nil
}

// Close ends running calls and closes the connection.
func (c *Client) Close() error { return c.connection.Close() }

// bearer is a token that goes with every call, over plain connections too.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
