package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/watchword-auth/watchword/internal/scenario"
	"github.com/watchword-auth/watchword/internal/server"
)

type testCmd struct {
	Dir  string `arg:"" help:"Folder of files, as for apply, with tests/*.yaml in it." type:"existingdir"`
	Only string `help:"Only cases whose names contain this." placeholder:"TEXT"`
	Ways bool   `help:"Say which ways of the journeys no case went."`
}

// Run runs the tests and ends with an error if one failed.
func (c *testCmd) Run(ctx context.Context) error {
	config, err := server.ReadFiles(c.Dir)
	if err != nil {
		return err
	}
	files, err := scenario.Read(filepath.Join(c.Dir, "tests"))
	if err != nil {
		return err
	}
	passed, failed := 0, 0
	walked := scenario.Walked{}
	for _, f := range files {
		err := scenario.Run(ctx, config, c.Dir, f, c.Only, time.Now, walked, func(r scenario.Result) {
			r.Print(os.Stdout)
			if r.Err != nil {
				failed++
			} else {
				passed++
			}
		})
		if err != nil {
			return err
		}
	}
	if c.Ways {
		walked.Print(os.Stdout, config.Journeys)
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d of %d cases failed", failed, passed+failed)
	case passed == 0:
		return errors.New("there is no case to run: put files into " + filepath.Join(c.Dir, "tests"))
	}
	return nil
}
