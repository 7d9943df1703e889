package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corral "github.com/corral-serve/corral/clients/go"
	corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"
)

const (
	france = "What is the capital of France?"
	sum    = "What is 7 plus 5?"
	mixed  = "Hello, world! héllo 🐎"
	horse  = "🐎"
)

// answers are the cases that ask a model and are answered.
var answers = []scripted{
	{"generate", generate},
	{"generate_stream", generateStream},
	{"chat", chat},
	{"chat_stream", chatStream},
	{"tokenize", tokenize},
	{"embed", embed},
	{"embed_stream_1000", embedStream1000},
	{"utf8_split_over_tokens", utf8SplitOverTokens},
	{"cancel_mid_stream", cancelMidStream},
}

func generateLamb(ctx context.Context, client *corral.Client, tokens int32) *corralv1.GenerateResponse {
	return must(client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt(lamb), MaxTokens: &tokens, Sampling: greedy(),
	}))
}

func generate() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	answer := generateLamb(ctx, client, 24)
	equal(answer.Model, "demo", "model")
	expect(strings.HasPrefix(answer.Text, " small lamb named"), "a lamb", answer.Text)
	equal(answer.Finished.Reason, corralv1.FinishReason_FINISH_REASON_LENGTH, "reason")
	usage := answer.Finished.Usage
	equal([]int32{usage.PromptTokens, usage.CompletionTokens, usage.TotalTokens}, []int32{8, 24, 32}, "usage")
	expect(answer.RequestId != "", "a request_id", "none")
	return fmt.Sprintf("%d tokens", usage.CompletionTokens)
}

func generateStream() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	whole := generateLamb(ctx, client, 24)
	var events []*corralv1.GenerateStreamResponse
	for event, err := range corral.Each(ctx, client.Inference.GenerateStream, &corralv1.GenerateStreamRequest{
		Input: streamPrompt(lamb), MaxTokens: new(int32(24)), Sampling: greedy(),
	}) {
		events = append(events, must(event, err))
	}
	expect(len(events) > 2, "started, deltas, finished", len(events))
	started, deltas := events[0].GetStarted(), events[1:len(events)-1]
	finished := events[len(events)-1].GetFinished()
	equal(started.GetModel(), "demo", "model")
	equal(started.GetPromptTokens(), int32(8), "prompt_tokens")
	text, tokens := "", int32(0)
	for _, event := range deltas {
		expect(event.GetDelta() != nil, "deltas in the middle", event)
		expect(event.GetDelta().CompletionTokens >= tokens, "completion_tokens to grow", event)
		text, tokens = text+event.GetDelta().Text, event.GetDelta().CompletionTokens
	}
	equal(text, whole.Text, "text")
	equal(finished.GetReason(), whole.Finished.Reason, "reason")
	usage, wanted := finished.GetUsage(), whole.Finished.Usage
	equal(
		[]int32{usage.GetPromptTokens(), usage.GetCompletionTokens(), usage.GetTotalTokens()},
		[]int32{wanted.PromptTokens, wanted.CompletionTokens, wanted.TotalTokens}, "usage",
	)
	return fmt.Sprintf("%d deltas", len(deltas))
}

func chat() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	answer := must(client.Inference.Chat(ctx, &corralv1.ChatRequest{
		Messages: []*corralv1.Message{corral.User(france)}, Sampling: greedy(),
	}))
	equal(answer.Message.Role, corralv1.Role_ROLE_ASSISTANT, "role")
	expect(strings.Contains(answer.Message.Content, "Paris"), "Paris", answer.Message.Content)
	equal(answer.Finished.Reason, corralv1.FinishReason_FINISH_REASON_EOS, "reason")
	return answer.Message.Content
}

func chatStream() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	request := &corralv1.ChatStreamRequest{Sampling: greedy()}
	var texts []string
	for _, turn := range [][2]string{{france, "Paris"}, {sum, "12"}} {
		question, word := turn[0], turn[1]
		request.Messages = append(request.Messages, corral.User(question))
		text, finished, err := joined(corral.Each(ctx, client.Inference.ChatStream, request))
		must(text, err)
		expect(strings.Contains(text, word), word, text)
		equal(finished.GetReason(), corralv1.FinishReason_FINISH_REASON_EOS, "reason")
		request.Messages = append(request.Messages, corral.Assistant(text))
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

func tokenize() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	tokens := must(client.Inference.Tokenize(ctx, &corralv1.TokenizeRequest{Text: mixed})).Tokens
	equal(len(tokens), 15, "tokens")
	var pieces []byte
	detokenize := &corralv1.DetokenizeRequest{}
	for _, token := range tokens {
		pieces = append(pieces, token.Piece...)
		detokenize.TokenIds = append(detokenize.TokenIds, token.Id)
	}
	equal(string(pieces), mixed, "pieces")
	text := must(client.Inference.Detokenize(ctx, detokenize))
	equal([]string{text.Text, string(text.Raw)}, []string{mixed, mixed}, "text and raw")
	counted := must(client.Inference.CountTokens(ctx, &corralv1.CountTokensRequest{
		Input: &corralv1.CountTokensRequest_Prompt{Prompt: mixed},
	}))
	equal([]int32{counted.Tokens, counted.SequenceLimit}, []int32{15, 2048}, "count and limit")
	conversation := &corralv1.Conversation{Messages: []*corralv1.Message{corral.User(sum)}}
	counted = must(client.Inference.CountTokens(ctx, &corralv1.CountTokensRequest{
		Input: &corralv1.CountTokensRequest_Conversation{Conversation: conversation},
	}))
	equal(counted.Tokens, int32(20), "count of a conversation")
	return fmt.Sprintf("%d tokens", len(tokens))
}

func embedInputs(texts ...string) (inputs []*corralv1.EmbedInput) {
	for _, text := range texts {
		inputs = append(inputs, &corralv1.EmbedInput{Input: &corralv1.EmbedInput_Text{Text: text}})
	}
	return inputs
}

// unpacked is the vector that travelled as bytes.
func unpacked(embedding *corralv1.Embedding) []float32 {
	vector := make([]float32, len(embedding.Packed)/4)
	must(vector, binary.Read(bytes.NewReader(embedding.Packed), binary.LittleEndian, vector))
	return vector
}

func expectUnit(vector []float32) {
	equal(len(vector), 256, "numbers")
	length := math.Sqrt(dot(vector, vector))
	expect(math.Abs(length-1) <= 0.001, "length 1", length)
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func embed() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	request := &corralv1.EmbedRequest{Inputs: embedInputs(
		"A dog sleeps on the warm stones.",
		"A cat sleeps on the warm stones.",
		"Integers are closed under addition.",
	)}
	request.Encoding = corralv1.EmbeddingEncoding_EMBEDDING_ENCODING_FLOAT
	plainly := must(client.Inference.Embed(ctx, request)).Embeddings
	request.Encoding = corralv1.EmbeddingEncoding_EMBEDDING_ENCODING_FLOAT32_LE
	packed := must(client.Inference.Embed(ctx, request)).Embeddings
	equal([]int{len(plainly), len(packed)}, []int{3, 3}, "vectors")
	for i := range plainly {
		equal([]int32{plainly[i].Index, packed[i].Index}, []int32{int32(i), int32(i)}, "index")
		numbers, again := plainly[i].Values, unpacked(packed[i])
		expectUnit(numbers)
		expectUnit(again)
		for j := range numbers {
			apart := math.Abs(float64(numbers[j] - again[j]))
			expect(apart <= 1e-6, "the same numbers in both encodings", apart)
		}
	}
	near, far := dot(plainly[0].Values, plainly[1].Values), dot(plainly[0].Values, plainly[2].Values)
	expect(near > 0.6 && 0.6 > far, "the cat nearer than integers", []float64{near, far})
	return fmt.Sprintf("%.2f and %.2f", near, far)
}

func embedStream1000() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	request := &corralv1.EmbedStreamRequest{
		Encoding: corralv1.EmbeddingEncoding_EMBEDDING_ENCODING_FLOAT32_LE,
	}
	for number := range 1000 {
		input := embedInputs(fmt.Sprintf("Sentence number %d.", number))
		request.Inputs = append(request.Inputs, input...)
	}
	messages, vectors := 0, 0
	var usage *corralv1.Usage
	for message, err := range corral.Each(ctx, client.Inference.EmbedStream, request) {
		must(message, err)
		expect(usage == nil, "usage in the last message only", usage)
		for _, embedding := range message.Embeddings {
			equal(embedding.Index, int32(vectors), "index")
			expectUnit(unpacked(embedding))
			vectors++
		}
		messages, usage = messages+1, message.Usage
	}
	expect(messages > 1, "more than one message", messages)
	equal(vectors, 1000, "vectors")
	expect(usage.GetPromptTokens() > 1000, "usage", usage)
	return fmt.Sprintf("%d messages", messages)
}

func utf8SplitOverTokens() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	sampling := greedy()
	sampling.FrequencyPenalty = new(float32(100))
	sampling.LogitBias = map[int32]float32{172: 1000, 253: 975, 238: 950, 236: 925}
	var pieces [][]byte
	var texts []string
	for event, err := range corral.Each(ctx, client.Inference.GenerateStream, &corralv1.GenerateStreamRequest{
		Input: streamPrompt("A horse: "), MaxTokens: new(int32(8)), Sampling: sampling,
		Output: &corralv1.OutputOptions{Tokens: true},
	}) {
		must(event, err)
		for _, token := range event.GetDelta().GetTokens() {
			pieces = append(pieces, token.Piece)
		}
		texts = append(texts, event.GetDelta().GetText())
	}
	equal(pieces, slices.Collect(slices.Chunk([]byte(horse+horse), 1)), "pieces")
	whole := !slices.ContainsFunc(texts, func(text string) bool { return strings.ReplaceAll(text, horse, "") != "" })
	expect(whole, "whole characters", texts)
	equal(strings.Join(texts, ""), horse+horse, "text")
	return fmt.Sprintf("%d tokens", len(pieces))
}

func cancelMidStream() string {
	client := plain()
	defer client.Close()
	ctx, cancel := soon()
	defer cancel()
	began, deltas := time.Now(), 0
	for event, err := range corral.Each(ctx, client.Inference.GenerateStream, &corralv1.GenerateStreamRequest{
		Input: streamPrompt(lamb), MaxTokens: new(int32(2000)), Sampling: greedy(), Stop: endless(),
	}) {
		must(event, err)
		if event.GetDelta() != nil {
			deltas++
		}
		if deltas == 3 {
			break
		}
	}
	pollUntilIdle(ctx, client)
	took := time.Since(began)
	answer := must(client.Inference.Generate(ctx, &corralv1.GenerateRequest{
		Input: prompt("Hi"), MaxTokens: new(int32(4)), Sampling: greedy(), Stop: endless(),
	}))
	equal(answer.Finished.Usage.CompletionTokens, int32(4), "tokens afterwards")
	return fmt.Sprintf("idle after %.2f s", took.Seconds())
}
