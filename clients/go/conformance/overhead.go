package main

import (
	"context"
	"io"
	"os"
	"time"

	corral "github.com/corral-serve/corral/clients/go"
	corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"
)

const (
	deltas = 10_000
	times  = 5
)

type overhead struct {
	Wrapper []float64 `json:"wrapper_s"`
	Raw     []float64 `json:"raw_s"`
}

// measure is what the wrapper's loop takes, and the stub's own; the first of each is not counted.
func measure() (found overhead) {
	client := client(corral.Options{Address: os.Getenv("CORRAL_FLOOD_ADDRESS")})
	defer client.Close()
	request := &corralv1.GenerateStreamRequest{Input: streamPrompt("a"), MaxTokens: new(int32(deltas))}
	for range times + 1 {
		found.Wrapper = append(found.Wrapper, seconds(client, request, throughWrapper))
		found.Raw = append(found.Raw, seconds(client, request, throughStub))
	}
	return overhead{found.Wrapper[1:], found.Raw[1:]}
}

type read func(context.Context, *corral.Client, *corralv1.GenerateStreamRequest) int

func seconds(client *corral.Client, request *corralv1.GenerateStreamRequest, read read) float64 {
	ctx, cancel := soon()
	defer cancel()
	began := time.Now()
	length := read(ctx, client, request)
	took := time.Since(began)
	equal(length, deltas*len(" word"), "length")
	return took.Seconds()
}

func throughWrapper(
	ctx context.Context, client *corral.Client, request *corralv1.GenerateStreamRequest,
) (length int) {
	for event, err := range corral.Each(ctx, client.Inference.GenerateStream, request) {
		if err != nil {
			panic(err)
		}
		length += len(event.GetDelta().GetText())
	}
	return length
}

func throughStub(
	ctx context.Context, client *corral.Client, request *corralv1.GenerateStreamRequest,
) (length int) {
	events := must(client.Inference.GenerateStream(ctx, request))
	for {
		event, err := events.Recv()
		if err == io.EOF {
			return length
		}
		if err != nil {
			panic(err)
		}
		length += len(event.GetDelta().GetText())
	}
}
