// Load a model beside the others, list them, watch it go.
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
	if err := run(context.Background(), client.Models); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, models corralv1.ModelManagerClient) error {
	load := &corralv1.LoadModelRequest{
		Id:      "second",
		Source:  &corralv1.ModelSource{Source: &corralv1.ModelSource_Demo{}},
		Options: &corralv1.LoadOptions{Slots: new(int32(2))},
		Aliases: []string{"spare"},
	}
	for event, err := range corral.Each(ctx, models.LoadModel, load) {
		if err != nil {
			return err
		}
		if progress := event.GetProgress(); progress != nil {
			fmt.Printf("%s %.0f%%\n", progress.Stage, 100*progress.Fraction)
		}
	}

	list, err := models.ListModels(ctx, &corralv1.ListModelsRequest{})
	if err != nil {
		return err
	}
	for _, model := range list.Models {
		mark := " "
		if model.IsDefault {
			mark = "*"
		}
		fmt.Println(mark, model.Id, model.State, model.Facts.GetContextSize())
	}

	for event, err := range corral.Each(ctx, models.WatchModels, &corralv1.WatchModelsRequest{}) {
		if err != nil {
			return err
		}
		if snapshot := event.GetSnapshot(); snapshot != nil {
			fmt.Print("watching")
			for _, model := range snapshot.Models {
				fmt.Print(" ", model.Id)
			}
			fmt.Println()
			unload := &corralv1.UnloadModelRequest{Id: "second"}
			if _, err := models.UnloadModel(ctx, unload); err != nil {
				return err
			}
		}
		if changed := event.GetChanged(); changed.GetId() == "second" {
			fmt.Println("second", changed.State)
		}
		if event.GetRemoved().GetId() == "second" {
			fmt.Println("second removed")
			break
		}
	}
	return nil
}
