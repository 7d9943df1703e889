package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	corral "github.com/corral-serve/corral/clients/go"
	corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"
)

const unknown = 99

// meetings are the cases with a server that is newer, fails for a while, wants a token, or changes
// meanwhile.
var meetings = []scripted{
	{"unknown_enum_value", unknownEnumValue},
	{"unknown_oneof_arm", unknownOneofArm},
	{"retry_honours_retry_info", retryHonoursRetryInfo},
	{"no_retry_where_unsafe", noRetryWhereUnsafe},
	{"tls_and_token", tlsAndToken},
	{"token_refused", tokenRefused},
	{"model_lifecycle", modelLifecycle},
	{"golden_bytes", goldenBytes},
}

func unknownEnumValue() string {
	client := future()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	answer := must(client.Inference.Generate(ctx, &corralv1.GenerateRequest{Input: prompt("a")}))
	equal(answer.Text, "from the future", "text")
	equal(answer.Finished.Reason, corralv1.FinishReason(unknown), "reason")
	model := listed(ctx, client, "future")
	equal(model.GetState(), corralv1.ModelState(unknown), "state")
	known := []corralv1.Capability{
		corralv1.Capability_CAPABILITY_GENERATE, corralv1.Capability_CAPABILITY_CHAT,
	}
	equal(model.Capabilities[:2], known, "capabilities")
	_, err := client.Inference.Chat(ctx, &corralv1.ChatRequest{
		Messages: []*corralv1.Message{corral.User("a")},
	})
	failure := refused(err)
	has(failure, "FailedPrecondition", "SOMETHING_NEW", "answer", "42")
	equal(failure.Message, "not yet invented", "message")
	return fmt.Sprintf("reason %s", answer.Finished.Reason)
}

func unknownOneofArm() string {
	client := future()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	text, finished, err := joined(corral.Each(ctx, client.Inference.GenerateStream,
		&corralv1.GenerateStreamRequest{Input: streamPrompt("a")}))
	equal(must(text, err), "from the future", "text")
	expect(finished != nil, "finished", finished)
	model, steps, err := load(ctx, client, &corralv1.LoadModelRequest{Id: "future", Source: demo()})
	equal(must(model, err).GetId(), "future", "model")
	equal(len(steps), 3, "steps of progress")
	var changes []*corralv1.WatchModelsResponse
	for change, err := range corral.Each(ctx, client.Models.WatchModels, &corralv1.WatchModelsRequest{}) {
		changes = append(changes, must(change, err))
	}
	equal(len(changes), 3, "changes")
	equal(changes[0].GetSnapshot().GetModels()[0].Id, "future", "snapshot")
	expect(changes[1].GetEvent() == nil, "an unknown arm", changes[1])
	equal(changes[2].GetRemoved().GetId(), "future", "removed")
	return "passed over"
}

func retryHonoursRetryInfo() string {
	client := flaky()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	began := time.Now()
	answer := must(client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt("a"), Model: "unavailable-twice", RequestId: freshID(),
	}))
	unaryTook := inTime(began)
	equal(answer.Text, "attempt 3", "text")
	began = time.Now()
	text, _, err := joined(corral.Each(ctx, client.Inference.GenerateStream,
		&corralv1.GenerateStreamRequest{
			Input: streamPrompt("a"), Model: "unavailable-twice", RequestId: freshID(),
		}))
	streamTook := inTime(began)
	equal(must(text, err), "attempt 3", "text of the stream")
	_, err = client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt("a"), Model: "unavailable-always", RequestId: freshID(),
	})
	failure := refused(err)
	has(failure, "Unavailable", "ENGINE_RESTARTING", "attempt", "4")
	equal(failure.RetryDelay, 50*time.Millisecond, "retry delay")
	return fmt.Sprintf("after %.2f s and %.2f s", unaryTook.Seconds(), streamTook.Seconds())
}

func inTime(began time.Time) time.Duration {
	took := time.Since(began)
	expect(450*time.Millisecond <= took && took <= 10*time.Second, "0.45 s to 10 s", took)
	return took
}

func noRetryWhereUnsafe() string {
	client := flaky()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	text, _, err := joined(corral.Each(ctx, client.Inference.GenerateStream,
		&corralv1.GenerateStreamRequest{
			Input: streamPrompt("a"), Model: "fails-midway", RequestId: freshID(),
		}))
	equal(text, "half", "deltas")
	has(refused(err), "Unavailable", "ENGINE_RESTARTING", "attempt", "1")
	_, err = client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt("a"), Model: "hub-unavailable", RequestId: freshID(),
	})
	has(refused(err), "Unavailable", "HUB_UNAVAILABLE", "attempt", "1")
	equal(refused(err).RetryDelay, 50*time.Millisecond, "retry delay")
	return "one attempt each"
}

func tlsAndToken() string {
	client := secure(os.Getenv("CORRAL_TLS_TOKEN"))
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	answer := generateLamb(ctx, client, 4)
	expect(strings.HasPrefix(answer.Text, " small"), "a small lamb", answer.Text)
	text, _, err := joined(corral.Each(ctx, client.Inference.GenerateStream,
		&corralv1.GenerateStreamRequest{
			Input: streamPrompt(lamb), MaxTokens: new(int32(4)), Sampling: greedy(),
		}))
	equal(must(text, err), answer.Text, "text of the stream")
	return fmt.Sprintf("%q", answer.Text)
}

func tokenRefused() string {
	nobody, stranger := secure(""), secure("wrong")
	defer nobody.Close()
	defer stranger.Close()
	ctx, cancel := soon()
	defer cancel()
	request := &corralv1.GenerateRequest{Input: prompt(lamb)}
	_, missing := nobody.Inference.Generate(ctx, request)
	_, wrong := stranger.Inference.Generate(ctx, request)
	_, _, streamed := joined(corral.Each(ctx, stranger.Inference.GenerateStream,
		&corralv1.GenerateStreamRequest{Input: streamPrompt(lamb)}))
	for _, err := range []error{missing, wrong, streamed} {
		failure := refused(err)
		has(failure, "Unauthenticated", "UNAUTHENTICATED")
		told := strings.Contains(failure.Message, "wrong") ||
			strings.Contains(failure.Message, os.Getenv("CORRAL_TLS_TOKEN"))
		expect(!told, "no token in the message", failure.Message)
	}
	return refused(wrong).Message
}

func modelLifecycle() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	steps, wasReady := 0, false
	for change, err := range corral.Each(ctx, client.Models.WatchModels, &corralv1.WatchModelsRequest{}) {
		must(change, err)
		if snapshot := change.GetSnapshot(); snapshot != nil {
			var ids []string
			for _, model := range snapshot.Models {
				ids = append(ids, model.Id)
			}
			expect(slices.Contains(ids, "demo") && slices.Contains(ids, "text"), "demo and text", ids)
			steps = liveOnce(client)
		}
		ready := change.GetChanged().GetState() == corralv1.ModelState_MODEL_STATE_READY
		wasReady = wasReady || ready && change.GetChanged().Id == "second"
		if change.GetRemoved().GetId() == "second" {
			break
		}
	}
	expect(wasReady, "second told to be ready before it was removed", wasReady)
	_, err := client.Inference.Generate(ctx, &corralv1.GenerateRequest{Input: prompt("Hi"), Model: "second"})
	has(refused(err), "NotFound", "MODEL_NOT_FOUND", "model", "second")
	return fmt.Sprintf("%d steps of progress", steps)
}

// liveOnce loads second, uses and unloads it, and returns how many steps the load had.
func liveOnce(client *corral.Client) int {
	ctx, cancel := soon()
	defer cancel()
	model, steps, err := load(ctx, client, &corralv1.LoadModelRequest{
		Id: "second", Source: demo(), Aliases: []string{"spare"},
		Options: &corralv1.LoadOptions{Slots: new(int32(2))},
	})
	must(model, err)
	var stages []corralv1.LoadStage
	for _, step := range steps {
		stages = append(stages, step.Stage)
		expect(0 <= step.Fraction && step.Fraction <= 1, "fractions of 1", step)
	}
	equal(slices.Compact(stages), []corralv1.LoadStage{
		corralv1.LoadStage_LOAD_STAGE_PROBING,
		corralv1.LoadStage_LOAD_STAGE_LOADING,
		corralv1.LoadStage_LOAD_STAGE_WARMING,
	}, "stages")
	equal(model.GetState(), corralv1.ModelState_MODEL_STATE_READY, "state")
	equal(model.GetFacts().GetSlots(), int32(2), "slots")
	expect(listed(ctx, client, "second") != nil, "it in the list", nil)
	answer := must(client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt("Hi"), Model: "spare", MaxTokens: new(int32(4)),
	}))
	equal(answer.Model, "second", "model of the answer")
	unloaded := must(client.Models.UnloadModel(ctx, &corralv1.UnloadModelRequest{Id: "second"}))
	left := unloaded.RemainingIds
	expect(slices.Contains(left, "demo") && slices.Contains(left, "text"), "demo and text left", left)
	expect(!slices.Contains(left, "second"), "second gone", left)
	return len(steps)
}

func goldenBytes() string {
	paths := must(filepath.Glob(filepath.Join(os.Getenv("CORRAL_GOLDEN"), "*.binpb")))
	expect(len(paths) >= 60, "at least 60 files", len(paths))
	for _, path := range paths {
		name := strings.Join(strings.Split(filepath.Base(path), ".")[:3], ".")
		kind := must(protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name)))
		raw, message := must(os.ReadFile(path)), kind.New().Interface()
		must(message, proto.Unmarshal(raw, message))
		again := must(proto.MarshalOptions{Deterministic: true}.Marshal(message))
		again = inOrder(again, kind.Descriptor())
		expect(bytes.Equal(again, raw), "the same bytes of "+filepath.Base(path), again)
	}
	return fmt.Sprintf("%d files", len(paths))
}

// inOrder is a serialised message with its fields in order of their numbers: Go writes the arms of
// a oneof last.
func inOrder(raw []byte, kind protoreflect.MessageDescriptor) []byte {
	type field struct {
		number protowire.Number
		bytes  []byte
	}
	var fields []field
	for len(raw) > 0 {
		number, wireType, length := protowire.ConsumeField(raw)
		expect(length > 0, "a field", raw)
		written := raw[:length]
		raw = raw[length:]
		if held := kind.Fields().ByNumber(number); held != nil && held.Message() != nil {
			tag := protowire.AppendTag(nil, number, wireType)
			inner, _ := protowire.ConsumeBytes(written[len(tag):])
			written = protowire.AppendBytes(tag, inOrder(inner, held.Message()))
		}
		fields = append(fields, field{number, written})
	}
	slices.SortStableFunc(fields, func(a, b field) int { return cmp.Compare(a.number, b.number) })
	var ordered []byte
	for _, field := range fields {
		ordered = append(ordered, field.bytes...)
	}
	return ordered
}
