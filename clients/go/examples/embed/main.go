// Find which of five sentences is nearest to a sixth.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"slices"

	corral "github.com/corral-serve/corral/clients/go"
	corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"
)

var sentences = []string{
	"A dog sleeps on the warm stones.", // the one that is compared with the others
	"The restaurant opens at noon.",
	"The train to Rome leaves at nine.",
	"A cat sleeps on the warm stones.",
	"Integers are closed under addition.",
	"It will rain in the afternoon.",
}

func main() {
	client, err := corral.New(corral.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	load := &corralv1.LoadModelRequest{
		Id:           "embedder",
		Source:       &corralv1.ModelSource{Source: &corralv1.ModelSource_Demo{}},
		Capabilities: []corralv1.Capability{corralv1.Capability_CAPABILITY_EMBED},
	}
	for _, err := range corral.Each(ctx, client.Models.LoadModel, load) {
		if err != nil {
			log.Fatal(err)
		}
	}
	request := &corralv1.EmbedRequest{Model: "embedder"}
	for _, text := range sentences {
		input := &corralv1.EmbedInput{Input: &corralv1.EmbedInput_Text{Text: text}}
		request.Inputs = append(request.Inputs, input)
	}
	response, err := client.Inference.Embed(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Models.UnloadModel(ctx, &corralv1.UnloadModelRequest{Id: "embedder"}); err != nil {
		log.Fatal(err)
	}

	fmt.Println(sentences[0])
	first, others := response.Embeddings[0], response.Embeddings[1:]
	slices.SortFunc(others, func(a, b *corralv1.Embedding) int {
		return cmp.Compare(likeness(first, b), likeness(first, a))
	})
	for _, other := range others {
		fmt.Printf("%.2f %s\n", likeness(first, other), sentences[other.Index])
	}
}

// likeness is the cosine of the angle between two vectors of length 1.
func likeness(a, b *corralv1.Embedding) (sum float32) {
	for i := range a.Values {
		sum += a.Values[i] * b.Values[i]
	}
	return sum
}
