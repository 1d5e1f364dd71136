//go:build !unix

package db

import (
	"fmt"
	"io"
	"os"
)

// lockFile only checks that the folder can be written to: this system has no
// flock, and running one process is up to the operator.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write to the folder of the database: %w", err)
	}
	return f, nil
}
