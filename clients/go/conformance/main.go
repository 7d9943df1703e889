// The scripted cases that every client performs: ../../conformance/CASES.md.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
)

// scripted is a case: it does what its name asks for and says what it saw, or panics.
type scripted struct {
	name string
	run  func() string
}

type line struct {
	Case   string `json:"case"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func main() {
	report := io.Writer(os.Stdout)
	if path := os.Getenv("CORRAL_REPORT"); path != "" {
		file, err := os.Create(path)
		if err != nil {
			log.Fatal(err)
		}
		defer file.Close()
		report = file
	}
	lines := json.NewEncoder(report)
	if len(os.Args) > 1 && os.Args[1] == "overhead" {
		write(lines, measure())
		return
	}
	for _, cases := range [][]scripted{answers, failures, meetings} {
		for _, each := range cases {
			write(lines, perform(each))
		}
	}
}

func write(lines *json.Encoder, line any) {
	if err := lines.Encode(line); err != nil {
		log.Fatal(err)
	}
}

// perform keeps what goes wrong in one case from the others.
func perform(each scripted) (done line) {
	defer func() {
		if failure := recover(); failure != nil {
			done = line{each.name, false, fmt.Sprint(failure)}
		}
	}()
	return line{each.name, true, each.run()}
}
