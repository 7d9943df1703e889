// Ask twice in one conversation and print the answers while they are written.
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

	request := &corralv1.ChatStreamRequest{
		Messages: []*corralv1.Message{corral.System("Answer briefly.")},
		Sampling: &corralv1.SamplingParams{Temperature: new(float32(0))},
	}
	for _, question := range []string{"What is the capital of France?", "And of Italy?"} {
		fmt.Println(">", question)
		request.Messages = append(request.Messages, corral.User(question))
		answer := ""
		for event, err := range corral.Each(context.Background(), client.Inference.ChatStream, request) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Print(event.GetDelta().GetText())
			answer += event.GetDelta().GetText()
		}
		fmt.Println()
		request.Messages = append(request.Messages, corral.Assistant(answer))
	}
}
