// Continue a text and print it while it is written.
package main

import (
	"context"
	"fmt"
	"log"

	corral "github.com/corral-serve/corral/clients/go"
	corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"
)

func main() {
	client, err := corral.New(corral.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	request := &corralv1.GenerateStreamRequest{
		Input:     &corralv1.GenerateStreamRequest_Prompt{Prompt: "Once upon a time, there was a"},
		MaxTokens: new(int32(32)),
		Sampling:  &corralv1.SamplingParams{Temperature: new(float32(0))},
	}
	for event, err := range corral.Each(context.Background(), client.Inference.GenerateStream, request) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(event.GetDelta().GetText())
		if finished := event.GetFinished(); finished != nil {
			fmt.Printf("\n%s after %d tokens\n", finished.Reason, finished.Usage.CompletionTokens)
		}
	}
}
