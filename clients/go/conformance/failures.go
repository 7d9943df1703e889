package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"
)

const megabyte = 1 << 20

// failures are the cases that a server of today refuses.
var failures = []scripted{
	{"deadline", deadline},
	{"prompt_of_one_megabyte", promptOfOneMegabyte},
	{"error_invalid_field", errorInvalidField},
	{"error_model_not_found", errorModelNotFound},
	{"error_capability_not_supported", errorCapabilityNotSupported},
	{"error_load_conflict", errorLoadConflict},
	{"error_model_file_not_found", errorModelFileNotFound},
	{"error_queue_full", errorQueueFull},
}

func deadline() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	short, cancelShort := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancelShort()
	began := time.Now()
	_, err := client.Inference.Generate(short, &corralv1.GenerateRequest{
		Input: prompt(lamb), MaxTokens: new(int32(2000)), Sampling: greedy(), Stop: endless(),
	})
	took := time.Since(began)
	equal(refused(err).Code.String(), "DeadlineExceeded", "code")
	expect(200*time.Millisecond <= took && took <= 3*time.Second, "0.2 s to 3 s", took)
	pollUntilIdle(ctx, client)
	return fmt.Sprintf("after %.2f s", took.Seconds())
}

func promptOfOneMegabyte() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	text := strings.Repeat("corral ", megabyte)[:megabyte]
	counted := must(client.Inference.CountTokens(ctx, &corralv1.CountTokensRequest{
		Input: &corralv1.CountTokensRequest_Prompt{Prompt: text},
	})).Tokens
	expect(counted > 100_000, "more than 100,000 tokens", counted)
	_, err := client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt(text), Sampling: greedy(),
	})
	has(refused(err), "InvalidArgument", "CONTEXT_LENGTH_EXCEEDED",
		"prompt_tokens", strconv.Itoa(int(counted)), "limit", "2047")
	return fmt.Sprintf("%d tokens", counted)
}

func errorInvalidField() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	_, err := client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt("a"), MaxTokens: new(int32(0)),
		Sampling: &corralv1.SamplingParams{Temperature: new(float32(-1)), TopP: new(float32(3))},
	})
	failure := refused(err)
	has(failure, "InvalidArgument", "INVALID_FIELD")
	var fields []string
	for _, field := range failure.Fields {
		fields = append(fields, field.Field)
		expect(field.Description != "", "why", field)
	}
	slices.Sort(fields)
	equal(fields, []string{"max_tokens", "sampling.temperature", "sampling.top_p"}, "fields")
	return strings.Join(fields, "; ")
}

func errorModelNotFound() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	_, err := client.Inference.Generate(ctx, &corralv1.GenerateRequest{Input: prompt("a"), Model: "nobody"})
	failure := refused(err)
	has(failure, "NotFound", "MODEL_NOT_FOUND", "model", "nobody")
	equal(failure.Model(), "nobody", "model")
	expect(strings.Contains(failure.Message, "nobody"), "the name in the message", failure.Message)
	return failure.Message
}

func errorCapabilityNotSupported() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	_, err := client.Inference.Embed(ctx, &corralv1.EmbedRequest{Inputs: embedInputs("a"), Model: "text"})
	failure := refused(err)
	has(failure, "FailedPrecondition", "CAPABILITY_NOT_SUPPORTED", "model", "text", "capability", "EMBED")
	return failure.Message
}

func errorLoadConflict() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	_, _, err := load(ctx, client, &corralv1.LoadModelRequest{
		Id: "text", Source: demo(), Options: &corralv1.LoadOptions{Slots: new(int32(3))},
	})
	failure := refused(err)
	has(failure, "AlreadyExists", "LOAD_CONFLICT", "model", "text")
	return failure.Message
}

func errorModelFileNotFound() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	path := &corralv1.ModelSource_Path{Path: "/nonexistent/corral.gguf"}
	_, _, err := load(ctx, client, &corralv1.LoadModelRequest{
		Id: "gone", Source: &corralv1.ModelSource{Source: path},
	})
	gone := listed(ctx, client, "gone")
	must(client.Models.UnloadModel(ctx, &corralv1.UnloadModelRequest{Id: "gone"}))
	failure := refused(err)
	has(failure, "NotFound", "MODEL_FILE_NOT_FOUND")
	equal(gone.GetState(), corralv1.ModelState_MODEL_STATE_FAILED, "state")
	equal(gone.GetError().GetReason(), "MODEL_FILE_NOT_FOUND", "reason in the list")
	return failure.Message
}

func errorQueueFull() string {
	client := flaky()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	_, err := client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt("a"), Model: "queue-full", RequestId: freshID(),
	})
	failure := refused(err)
	has(failure, "ResourceExhausted", "QUEUE_FULL", "attempt", "1")
	equal(failure.RetryDelay, 1500*time.Millisecond, "retry delay")
	return fmt.Sprintf("come back in %s", failure.RetryDelay)
}
