package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"os"
	"reflect"
	"strings"
	"time"

	corral "github.com/corral-serve/corral/clients/go"
	corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"
)

const (
	lamb     = "Once upon a time, there was a"
	timeout  = 20 * time.Second
	poll     = 20 * time.Millisecond
	patience = 5 * time.Second
)

// expect panics unless what is expected was met.
func expect(met bool, what string, seen any) {
	if !met {
		panic(fmt.Sprintf("expected %s, saw %v", what, seen))
	}
}

func equal(seen, wanted any, what string) {
	expect(reflect.DeepEqual(seen, wanted), fmt.Sprintf("%s %v", what, wanted), seen)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func plain() *corral.Client { return client(corral.Options{Address: os.Getenv("CORRAL_ADDRESS")}) }
func future() *corral.Client {
	return client(corral.Options{Address: os.Getenv("CORRAL_FUTURE_ADDRESS")})
}
func flaky() *corral.Client {
	return client(corral.Options{Address: os.Getenv("CORRAL_FLAKY_ADDRESS")})
}

func secure(token string) *corral.Client {
	return client(corral.Options{
		Address: os.Getenv("CORRAL_TLS_ADDRESS"), CAFile: os.Getenv("CORRAL_TLS_CA"), Token: token,
	})
}

func client(options corral.Options) *corral.Client { return must(corral.New(options)) }

// soon is the context of a call that must not take longer than a case may.
func soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), timeout)
}

// freshID is a request_id nobody had.
func freshID() string { return "case-" + rand.Text() }

// refused is how a call failed.
func refused(err error) *corral.Error {
	var failure *corral.Error
	expect(errors.As(err, &failure), "the call to fail", err)
	return failure
}

// has panics if the call failed otherwise; metadata are pairs of key and value.
func has(failure *corral.Error, code, reason string, metadata ...string) {
	equal(failure.Code.String()+" "+failure.Reason, code+" "+reason, "code and reason")
	for i := 0; i < len(metadata); i += 2 {
		equal(failure.Metadata[metadata[i]], metadata[i+1], metadata[i])
	}
}

func prompt(text string) *corralv1.GenerateRequest_Prompt {
	return &corralv1.GenerateRequest_Prompt{Prompt: text}
}

func streamPrompt(text string) *corralv1.GenerateStreamRequest_Prompt {
	return &corralv1.GenerateStreamRequest_Prompt{Prompt: text}
}

func greedy() *corralv1.SamplingParams { return &corralv1.SamplingParams{Temperature: new(float32(0))} }

// endless is for answers that are stopped from outside.
func endless() *corralv1.StopParams { return &corralv1.StopParams{IgnoreEos: true} }

func demo() *corralv1.ModelSource {
	return &corralv1.ModelSource{Source: &corralv1.ModelSource_Demo{Demo: &corralv1.DemoSource{}}}
}

type message interface {
	GetDelta() *corralv1.Delta
	GetFinished() *corralv1.Finished
}

// joined is the text of an answer, its end, and what it failed with.
func joined[Message message](
	messages iter.Seq2[Message, error],
) (text string, finished *corralv1.Finished, err error) {
	var deltas strings.Builder
	for message, err := range messages {
		if err != nil {
			return deltas.String(), finished, err
		}
		deltas.WriteString(message.GetDelta().GetText())
		if message.GetFinished() != nil {
			finished = message.GetFinished()
		}
	}
	return deltas.String(), finished, nil
}

// load loads a model and returns it, with the steps of its progress.
func load(
	ctx context.Context, client *corral.Client, request *corralv1.LoadModelRequest,
) (model *corralv1.Model, steps []*corralv1.LoadProgress, err error) {
	for event, err := range corral.Each(ctx, client.Models.LoadModel, request) {
		if err != nil {
			return nil, steps, err
		}
		if event.GetProgress() != nil {
			steps = append(steps, event.GetProgress())
		}
		model = event.GetModel()
	}
	return model, steps, nil
}

// listed is the model of this id; nil if there is none.
func listed(ctx context.Context, client *corral.Client, id string) *corralv1.Model {
	for _, model := range must(client.Models.ListModels(ctx, &corralv1.ListModelsRequest{})).Models {
		if model.Id == id {
			return model
		}
	}
	return nil
}

// pollUntilIdle waits until demo computes nothing.
func pollUntilIdle(ctx context.Context, client *corral.Client) {
	began := time.Now()
	for listed(ctx, client, "demo").RunningRequests > 0 {
		expect(time.Since(began) < patience, "a free slot", "none")
		time.Sleep(poll)
	}
}
