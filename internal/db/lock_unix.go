//go:build unix

package db

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockFile makes this process the only one that uses the database at path, and
// checks what SQLite would only complain about obscurely. The lock goes with
// the process, however that ends.
func lockFile(path string) (io.Closer, error) {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("the folder of the database: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("the folder of the database: %s is not a folder", dir)
	}
	if name := remote(dir); name != "" {
		return nil, fmt.Errorf("%s is on %s, where SQLite loses data: use a local disk, or PostgreSQL", dir, name)
	}
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write to the folder of the database: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		return nil, fmt.Errorf("another instance%s holds the database %s; an SQLite database belongs to one process at a time", holder(f), path)
	}
	// Who reads the file is a person; nothing depends on it.
	if err := errors.Join(f.Truncate(0), writePid(f)); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot write to the folder of the database: %w", err)
	}
	return f, nil // closing it unlocks; the file stays, or two could lock two files of one name
}

func writePid(f *os.File) error {
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

func holder(f *os.File) string {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}
